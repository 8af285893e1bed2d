"""A real ComfyUI for the tests: found, started as a server with its own interpreter, and asked over HTTP.

Looked for in COMFYUI_PATH (several folders may be given, with the system's path separator between them), in the ComfyUI
this pack is installed in, and in ~/comfy/ComfyUI. Its interpreter is the one of its own virtual environment, or
COMFYUI_PYTHON.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

PACK = Path(__file__).resolve().parents[2]
_VENVS = (".venv/bin/python", "venv/bin/python", ".venv/Scripts/python.exe", "venv/Scripts/python.exe")
_EMBEDDED = "../python_embeded/python.exe"
_START_SECONDS, _RUN_SECONDS = 180.0, 600.0

PROBE = '''
"""Writes what it is given to a file, for a test to read."""
import json
import torch
from pathlib import Path
from safetensors.torch import save_file
from comfy_api.latest import ComfyExtension, io
import folder_paths


def tensors_of(value):
    if isinstance(value, dict):
        samples = value["samples"]
        names = ("video", "rays")
        found = dict(zip(names, samples.unbind())) if samples.is_nested else {"samples": samples}
        if "noise_mask" in value and value["noise_mask"].is_nested:
            found |= dict(zip(("video_mask", "ray_mask"), value["noise_mask"].unbind()))
        return found
    if hasattr(value, "camera"):
        return {"world_from_cam": value.camera.world_from_cam, "K": value.camera.K}
    if isinstance(value, str):
        return {"text": torch.frombuffer(bytearray(value.encode()), dtype=torch.uint8)}
    if isinstance(value, (bool, int, float)):
        return {"tensor": torch.tensor([value])}
    return {"tensor": value}


class RaxelProbe(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="RaxelProbe",
            inputs=[io.AnyType.Input("value"), io.String.Input("name")],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, value=None, name=None):
        return float("nan")

    @classmethod
    def execute(cls, value, name):
        path = Path(folder_paths.get_output_directory()) / f"{name}.safetensors"
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors_of(value).items()}, path)
        return io.NodeOutput()


class RaxelProbeTensor(io.ComfyNode):
    """Reads an IMAGE from a file of the input folder."""
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="RaxelProbeTensor", inputs=[io.String.Input("name")], outputs=[io.Image.Output()]
        )

    @classmethod
    def execute(cls, name):
        from safetensors.torch import load_file
        return io.NodeOutput(load_file(Path(folder_paths.get_input_directory()) / f"{name}.safetensors")["image"])


class RaxelProbeText(io.ComfyNode):
    """CONDITIONING as UMT5 gives it, of random numbers: the text encoder itself takes 11 GB."""
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="RaxelProbeText", inputs=[io.Int.Input("seed")], outputs=[io.Conditioning.Output()])

    @classmethod
    def execute(cls, seed):
        return io.NodeOutput([[torch.randn(1, 8, 4096, generator=torch.Generator().manual_seed(seed)), {}]])


class RaxelProbeGeometry(io.ComfyNode):
    """Reads a geometry's tensors from a file of the input folder; with a mode it is Depth Anything 3's, else MoGe's."""
    @classmethod
    def define_schema(cls):
        outputs = [io.Custom("MOGE_GEOMETRY").Output(), io.Custom("DA3_GEOMETRY").Output()]
        inputs = [io.String.Input("name"), io.String.Input("mode")]
        return io.Schema(node_id="RaxelProbeGeometry", inputs=inputs, outputs=outputs)

    @classmethod
    def execute(cls, name, mode):
        from safetensors.torch import load_file
        tensors = load_file(Path(folder_paths.get_input_directory()) / f"{name}.safetensors")
        geometry = {**tensors, "mode": mode} if mode else dict(tensors)
        return io.NodeOutput(geometry, geometry)


class RaxelProbeCompile(io.ComfyNode):
    """As ComfyUI's TorchCompileModel, which drops guards on transformer_options, with a backend that takes no minute."""
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="RaxelProbeCompile", inputs=[io.Model.Input("model")], outputs=[io.Model.Output()])

    @classmethod
    def execute(cls, model):
        from comfy_api.torch_helpers import set_torch_compile_wrapper
        compiled = model.clone()
        keep = lambda entries: [("transformer_options" not in entry.name) for entry in entries]
        set_torch_compile_wrapper(model=compiled, backend="eager", options={"guard_filter_fn": keep})
        return io.NodeOutput(compiled)


class Extension(ComfyExtension):
    async def get_node_list(self):
        return [RaxelProbe, RaxelProbeTensor, RaxelProbeText, RaxelProbeCompile, RaxelProbeGeometry]


async def comfy_entrypoint():
    return Extension()
'''


def comfy_roots() -> list[Path]:
    """The ComfyUI folders there are, each once."""
    named = [Path(part) for part in os.environ.get("COMFYUI_PATH", "").split(os.pathsep) if part]
    places = named or [PACK.parents[1], Path.home() / "comfy" / "ComfyUI"]
    return [place.resolve() for place in places if (place / "main.py").is_file() and (place / "comfy").is_dir()]


def interpreter_of(root: Path) -> Path | None:
    """The Python that runs this ComfyUI."""
    own = [root / name for name in (*_VENVS, _EMBEDDED)]
    named = [Path(os.environ["COMFYUI_PYTHON"])] if "COMFYUI_PYTHON" in os.environ else []
    return next((path for path in (*own, *named) if path.exists()), None)


@dataclass(frozen=True)
class Outcome:
    """How a prompt ended: "success", "error" or "interrupted", with the error's text and the nodes' UI outputs."""

    status: str
    error: str
    outputs: dict[str, Any]
    cached: tuple[str, ...]


@dataclass
class ComfyServer:
    """One running ComfyUI whose folders lie in `base`."""

    root: Path
    base: Path
    url: str
    process: subprocess.Popen[bytes]
    counter: int = field(default=0)

    @classmethod
    def start(cls, root: Path, python: Path, base: Path, *options: str) -> ComfyServer:
        """Start the ComfyUI at `root` over the folders in `base`, with the pack linked in, and wait until it answers.

        `options` are more of its own.
        """
        nodes = base / "custom_nodes"
        (nodes / "raxel_probe").mkdir(parents=True)
        (nodes / "raxel_probe" / "__init__.py").write_text(PROBE, encoding="utf-8")
        (nodes / "raxel").symlink_to(PACK, target_is_directory=True)
        for name in ("input", "output", "temp", "user", "models"):
            (base / name).mkdir(exist_ok=True)
        port = free_port()
        command = [str(python), "main.py", "--cpu", "--port", str(port), "--base-directory", str(base)]
        command += ["--database-url", f"sqlite:///{base}/comfy.db", "--preview-method", "latent2rgb", *options]
        if os.environ.get("COMFYUI_FRONTEND"):  # the static folder of another frontend package
            command += ["--front-end-root", os.environ["COMFYUI_FRONTEND"]]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
        with (base / "server.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT)
        server = cls(root, base, f"http://127.0.0.1:{port}", process)
        server._wait_until_ready()
        return server

    def stop(self) -> None:
        """End the server."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        """What the server has printed so far."""
        return (self.base / "server.log").read_text(encoding="utf-8", errors="replace")

    @property
    def version(self) -> tuple[int, ...]:
        """ComfyUI's version."""
        text = self.get("/system_stats")["system"]["comfyui_version"]
        return tuple(int(part) for part in text.split(".")[:3])

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.loads(answer.read())

    def text(self, path: str) -> str:
        """The text at a path."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read().decode()

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and JSON of a POST."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt in API format; AssertionError with ComfyUI's answer when it is refused."""
        status, answer = self.post("/prompt", {"prompt": prompt, "client_id": "tests"})
        assert status == 200, json.dumps(answer, indent=1)
        return answer["prompt_id"]

    def wait(self, prompt_id: str) -> Outcome:
        """Wait until a queued prompt has ended."""
        deadline = time.monotonic() + _RUN_SECONDS
        while time.monotonic() < deadline:
            history = self.get(f"/history/{prompt_id}")
            if prompt_id in history:
                return outcome_of(history[prompt_id])
            assert self.process.poll() is None, f"ComfyUI ended:\n{self.log[-4000:]}"
            time.sleep(0.05)
        raise AssertionError(f"the prompt did not end in {_RUN_SECONDS:.0f} s:\n{self.log[-4000:]}")

    def run(self, prompt: dict[str, Any]) -> Outcome:
        """Queue a prompt and wait for it."""
        return self.wait(self.queue(prompt))

    def probe(self, prompt: dict[str, Any], *values: list[Any]) -> list[dict[str, torch.Tensor]]:
        """Run a prompt and return the tensors of some of its outputs, each given as [node id, output number]."""
        names = []
        for value in values:
            self.counter += 1
            names.append(f"probe_{self.counter}")
            node = {"class_type": "RaxelProbe", "inputs": {"value": value, "name": names[-1]}}
            prompt = {**prompt, names[-1]: node}
        outcome = self.run(prompt)
        assert outcome.status == "success", outcome.error
        return [load_file(self.base / "output" / f"{name}.safetensors") for name in names]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"ComfyUI did not start:\n{self.log[-4000:]}")
            try:
                self.get("/system_stats")
                return
            except OSError:
                time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"ComfyUI did not answer in {_START_SECONDS:.0f} s:\n{self.log[-4000:]}")


def outcome_of(entry: dict[str, Any]) -> Outcome:
    """The outcome that an entry of ComfyUI's history tells of."""
    messages = {name: data for name, data in entry["status"]["messages"]}
    cached = tuple(messages.get("execution_cached", {}).get("nodes", ()))
    if "execution_interrupted" in messages:
        return Outcome("interrupted", "", entry["outputs"], cached)
    failure = messages.get("execution_error", {})
    return Outcome(entry["status"]["status_str"], failure.get("exception_message", ""), entry["outputs"], cached)


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
