"""Makes sure of a kernel's image before the launch, by the rule that came with the kernel."""

from services.agents.node.domain.image import next_deed
from services.agents.node.runtime import ImageNotAvailableError, KernelJob, Runtime


async def make_sure_of_image(runtime: Runtime, job: KernelJob) -> None:
    """Have the image on this node as the rule wants it; raises `ImageNotAvailableError`."""
    found = await runtime.find_image(job.image)
    deed = next_deed(job.image_auto_pull, found, job.image_digest)
    if deed == "use":
        return
    state = "is not on this node" if found is None else "has another digest on this node"
    so_far = (
        f"The image '{job.image}' {state}, and the setting image_auto_pull"
        f" is '{job.image_auto_pull}'"
    )
    if deed == "refuse":
        raise ImageNotAvailableError(
            f"{so_far}: nothing is fetched. Choose an image that the node offers, have this one"
            " offered there, or, where nodes can fetch images, set image_auto_pull to 'tag' or"
            " 'digest'."
        )
    try:
        await runtime.fetch_image(job.image)
    except ImageNotAvailableError as problem:
        raise ImageNotAvailableError(f"{so_far}, but it could not be fetched: {problem}") from None
