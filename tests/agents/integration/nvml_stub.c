/* A driver library of a machine with two GPUs, for tests of the real NVML path. It is compiled where
   only the compiler is: without the C library's headers; the process that loads it has the library. */
extern int snprintf(char *text, unsigned long length, const char *format, ...);

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } utilization_t;
typedef struct { int index; } device_t;

static device_t devices[2] = {{0}, {1}};

int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned int flags) { (void)flags; return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code == 3 ? "Not Supported" : "Error"; }

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device_t **device) {
    if (index > 1) return 2;
    *device = &devices[index];
    return 0;
}

int nvmlDeviceGetUUID(device_t *device, char *text, unsigned int length) {
    snprintf(text, length, "GPU-%d", device->index);
    return 0;
}

int nvmlDeviceGetName(device_t *device, char *text, unsigned int length) {
    (void)device;
    snprintf(text, length, "Test GPU");
    return 0;
}

int nvmlDeviceGetMinorNumber(device_t *device, unsigned int *minor) {
    *minor = device->index;
    return 0;
}

int nvmlDeviceGetMemoryInfo(device_t *device, memory_t *memory) {
    memory->total = 1000ULL << 20;
    memory->used = (100ULL + device->index) << 20;
    memory->free = memory->total - memory->used;
    return 0;
}

int nvmlDeviceGetUtilizationRates(device_t *device, utilization_t *rates) {
    rates->gpu = 40 + device->index;
    rates->memory = 10;
    return 0;
}

int nvmlDeviceGetTemperature(device_t *device, unsigned int sensor, unsigned int *degrees) {
    (void)sensor;
    *degrees = 60 + device->index;
    return 0;
}

/* The second device has no power meter; an older driver lacks other functions altogether. */
int nvmlDeviceGetPowerUsage(device_t *device, unsigned int *milliwatts) {
    if (device->index == 1) return 3;
    *milliwatts = 75500;
    return 0;
}
