"""`python -m sglang.launch_server`, but that memory is not pinned: its video path wants to, and that needs CUDA.

The patch stands outside of the guard: processes that the server spawns import this file first.
"""

import runpy

import torch

torch.Tensor.pin_memory = lambda tensor, *_, **__: tensor

if __name__ == "__main__":
    runpy.run_module("sglang.launch_server", run_name="__main__", alter_sys=False)
