"""What a caller can do, one function a command, for the API and for the pages alike."""
