"""What every command needs of the machine: devices, processes, signals, precision, background work, provenance."""

from measure.io import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "background": ["in_background", "load_batches", "prefetch"],
        "command": ["run"],
        "compile": ["Compilation", "compiled", "failure_reason"],
        "determinism": ["deterministic"],
        "device": ["choose_device"],
        "environment": ["machine", "revision", "versions"],
        "interrupts": [
            "Interrupted",
            "NonFiniteLoss",
            "StopRequest",
            "Stopped",
            "own_process_group",
            "stopped_by",
        ],
        "cuda_graphs": ["Recorded", "check_cuda_graphs", "record_calls"],
        "options": [
            "MACHINE",
            "NETWORK",
            "RELEASED",
            "ComputeOptions",
            "DeviceOptions",
            "MachineOptions",
            "NetworkOptions",
            "Options",
            "add_flags",
            "network_options",
            "option",
            "shown",
            "words_of",
        ],
        "precision": ["autocast", "kernels"],
        "process_group": ["SINGLE_PROCESS", "World", "join", "world"],
        "tensor_files": ["tensors_when_whole"],
    },
)
