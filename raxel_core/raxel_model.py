"""A loaded model: network, VAE and recipe together, and the way between pixels, cameras and its latents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .geometry.camera import Camera
from .latents.clip_sizes import ClipSizes
from .latents.frames import TEMPORAL_STRIDE, check_frame_count, pixel_frames
from .latents.patch_vae import load_patch_vae
from .latents.vae import VideoVAE, encode_images
from .latents.wan_vae import WanVAE, is_wan_vae, load_wan_vae
from .model.config import PLUCKER_CHANNELS
from .model.transformer import RaxelTransformer
from .raxels import encode_raxels, plucker_maps, raxels_of_plucker
from .recipe import METADATA_KEY, Recipe
from .runtime.offload import Demand, check_bounded, demand, nbytes, place
from .weights.checkpoint import load_checkpoint, read_header
from .weights.lora import merge_lora

CHECKPOINTS = Path(__file__).parent / "checkpoints"
EMBEDDED_MODEL = "raxel-tiny"
SOURCES = 4  # that memory is planned for
# The most that Wan's VAE holds besides weights while it decodes, for each pixel of a frame, counted at two sizes.
WAN_VAE_BYTES_PER_PIXEL = 20_000
_VAE_SUFFIX = "-vae"


@dataclass(frozen=True, eq=False)
class RaxelModel:
    """The network, the VAE its latents come from, and the recipe that says what both were trained on.

    Every latent that leaves or enters here is normalised by the recipe's statistics of its stream, float32, on the
    network's device; the VAE is given float32 on that device, and pixels come back on the CPU.
    Raises ValueError when the three do not fit each other.
    """

    transformer: RaxelTransformer
    vae: VideoVAE
    recipe: Recipe

    def __post_init__(self) -> None:
        config = self.transformer.config
        channels = {
            "network": config.in_channels,
            "VAE": self.vae.latent_channels,
            "video statistics": self.recipe.video_statistics.channels,
        }
        if len(set(channels.values())) > 1:
            raise ValueError(f"network, VAE and recipe differ in latent channels: {channels}")
        if config.ray_channels != self.recipe.ray_statistics.channels:
            rays = {"network": config.ray_channels, "ray statistics": self.recipe.ray_statistics.channels}
            raise ValueError(f"network and recipe differ in channels of the rays: {rays}")

    @property
    def device(self) -> torch.device:
        """Where the network computes; its first parameters are always there, whatever waits elsewhere."""
        return next(self.transformer.parameters()).device

    @property
    def sizes(self) -> ClipSizes:
        """Which sizes of a clip suit the model, and what follows from them."""
        config = self.transformer.config
        return ClipSizes(
            self.vae.spatial_stride, self.vae.latent_channels, config.patch[1:], self.recipe.raxel_downscale
        )

    def latent_shapes(self, frames: int, hw: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes [C, T, h, w] of the video and ray latents of a clip of F = `frames`.

        Raises ValueError for a frame count that is not 4n + 1 or a size that does not suit the model.
        """
        video = self.sizes.video_shape(frames, hw)
        return video, (PLUCKER_CHANNELS, *video[1:]) if self._of_plucker else self.sizes.ray_shape(video)

    def encode_video(self, video: Tensor) -> Tensor:
        """Latents [B, C, T, h, w] of clips [B, 3, F, H, W] in [-1, 1], F = 4(T - 1) + 1."""
        check_frame_count(video.shape[2])
        self.sizes.check_hw((video.shape[3], video.shape[4]))
        return self.recipe.video_statistics.normalize(self.vae.encode(self._placed(video)).float())

    def encode_images(self, images: Tensor) -> Tensor:
        """Latents [B, C, N, h, w] of images [B, 3, N, H, W] in [-1, 1], each coded alone."""
        self.sizes.check_hw((images.shape[3], images.shape[4]))
        return self.recipe.video_statistics.normalize(encode_images(self.vae, self._placed(images)).float())

    def encode_cameras(self, camera: Camera, hw: tuple[int, int], *, reference: Camera | int) -> Tensor:
        """Ray latents [B, C, T, h, w] of cameras [B, F] of a video of `hw`, relative to a frame or to the cameras [B]
        `reference`, in float32.

        They code the cameras' raxels; in a Plücker model they are the maps of the last pixel frame of each latent one.
        """
        check_frame_count(camera.batch_shape[-1])
        if self._of_plucker:
            maps = self._plucker_maps(camera, hw, reference=reference)[:, :, ::TEMPORAL_STRIDE]
            return self.recipe.ray_statistics.normalize(maps)
        return self.encode_rays(self.raxels(camera, hw, reference=reference))

    def encode_rays(self, raxels: Tensor) -> Tensor:
        """Latents [B, C, T, h, w] of raxel clips [B, 3, F, h, w], coded in float32."""
        check_frame_count(raxels.shape[2])
        return self.recipe.ray_statistics.normalize(self.vae.encode(self._placed(raxels)).float())

    def encode_single_cameras(self, camera: Camera, hw: tuple[int, int]) -> Tensor:
        """Ray latents [B, C, M, h, w] of cameras [B, M] of single pictures, relative to the first, each coded alone."""
        if self._of_plucker:
            return self.recipe.ray_statistics.normalize(self._plucker_maps(camera, hw, reference=0))
        raxels = self.raxels(camera, hw, reference=0)
        return self.recipe.ray_statistics.normalize(encode_images(self.vae, self._placed(raxels)).float())

    def raxels(self, camera: Camera, hw: tuple[int, int], *, reference: Camera | int) -> Tensor:
        """Raxels [..., 3, F, h, w] of `camera` [..., F] relative to `reference`, for a video of `hw`."""
        return encode_raxels(camera, self.sizes.raxel_hw(hw), scale=self.recipe.raxel_scale, reference=reference)

    def decode_video(self, latents: Tensor) -> Tensor:
        """Clips [B, 3, F, H, W] of video latents [B, C, T, h, w], on the CPU, clamped to [-1, 1]."""
        return self.vae.decode(self.recipe.video_statistics.denormalize(latents.float())).float().clamp(-1, 1).cpu()

    def decode_rays(self, latents: Tensor) -> Tensor:
        """Raxels [B, 3, F, h, w] of ray latents [B, C, T, h, w], on the CPU, float32, never clamped."""
        codes = self.recipe.ray_statistics.denormalize(latents.float())
        if not self._of_plucker:
            return self.vae.decode(codes).float().cpu()
        times = torch.arange(pixel_frames(codes.shape[2])) / TEMPORAL_STRIDE
        return raxels_of_plucker(codes.cpu(), times, scale=self.recipe.raxel_scale)

    @property
    def _of_plucker(self) -> bool:
        return self.transformer.config.ray_representation == "plucker"

    def _plucker_maps(self, camera: Camera, hw: tuple[int, int], *, reference: Camera | int) -> Tensor:
        """Maps [B, 6, F, h, w] on the grid of the video's latents, a map a camera."""
        grid = (hw[0] // self.vae.spatial_stride, hw[1] // self.vae.spatial_stride)
        return plucker_maps(camera, grid, reference=reference).to(self.device, torch.float32)

    def _placed(self, video: Tensor) -> Tensor:
        """Move pixels to the network's device in float32."""
        return video.to(device=self.device, dtype=torch.float32)


def embedded_models() -> list[str]:
    """The names of the models that ship with the package."""
    return sorted(name for name in _embedded() if not name.endswith(_VAE_SUFFIX))


def load_model(
    name_or_path: str | Path = EMBEDDED_MODEL,
    *,
    vae: VideoVAE | str | Path | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    vram: int | None = None,
    lora: str | Path | None = None,
) -> RaxelModel:
    """Load an embedded model by name or a checkpoint by path, ready to sample.

    The VAE is the one the checkpoint's recipe names when that one is embedded; otherwise `vae` gives it, as an object
    or as the path of a VAE file or folder. With `vram`, so many bytes of the GPU are used for clips of the recipe's
    size (see `offload`): what does not fit waits in RAM. `device` is the CPU unless given, with `vram` a GPU. `lora`
    is a file of adapters to add to the weights (see `lora`).
    Raises ValueError when the file is not a raxel checkpoint, says nothing of its training, or needs a VAE that was not
    given or more than `vram`; OSError when it cannot be read.
    """
    device = torch.device(device or ("cuda" if vram is not None and torch.cuda.is_available() else "cpu"))
    if vram is not None:
        check_bounded(device, vram)
    # Most CPUs compute in bfloat16 by way of float32, slower and rounded at each step.
    if dtype is None and device.type == "cpu":
        dtype = torch.float32
    # Within a bound the weights come into RAM first, and `place` moves what fits.
    stored_on = device if vram is None else "cpu"
    loaded = load_checkpoint(_checkpoint_path(name_or_path), device=stored_on, dtype=dtype)
    if lora is not None:
        merge_lora(loaded.model, lora)
    if METADATA_KEY not in loaded.metadata:
        raise ValueError(f"{name_or_path} does not say what it was trained on: its header lacks {METADATA_KEY!r}")
    recipe = Recipe.from_json(loaded.metadata[METADATA_KEY])
    if vae is None:
        vae = _embedded_vae(recipe.vae)
    if not isinstance(vae, VideoVAE):
        vae = load_vae(vae, device=device)
    model = RaxelModel(loaded.model.eval().requires_grad_(False), vae, recipe)
    if vram is not None:
        place(model.transformer, device, vram, demand_of(model))
    return model


def demand_of(model: RaxelModel) -> Demand:
    """What a model needs on a GPU for clips of its recipe's size with four sources (see `offload.demand`)."""
    video, rays = model.latent_shapes(model.recipe.frames, model.recipe.hw)
    area = math.prod(model.transformer.config.patch)
    of_frame = (math.prod(video[2:]) + math.prod(rays[2:])) // area
    wan = isinstance(model.vae, WanVAE)
    weights = model.vae.autoencoder if isinstance(model.vae, WanVAE) else model.vae
    return demand(
        model.transformer,
        tokens=(video[1] + SOURCES) * of_frame,
        vae=nbytes(weights) if isinstance(weights, nn.Module) else 0,
        vae_working=WAN_VAE_BYTES_PER_PIXEL * math.prod(model.recipe.hw) if wan else 0,
    )


def _checkpoint_path(name_or_path: str | Path) -> Path:
    """Return the file of an embedded name, or the path itself; ValueError names the choices."""
    if str(name_or_path) in embedded_models():
        return _embedded()[str(name_or_path)]
    path = Path(name_or_path)
    if not path.exists():
        names = ", ".join(embedded_models()) or "none"
        raise ValueError(f"{name_or_path} is neither a file nor an embedded model (those are: {names})")
    return path


def load_vae(name_or_path: str | Path, *, device: torch.device | str = "cpu") -> VideoVAE:
    """Load an embedded VAE by name, a patch VAE by file, or Wan's VAE from a diffusers folder or file."""
    path = _embedded().get(str(name_or_path), Path(name_or_path))
    if not path.exists():
        raise ValueError(f"the VAE {name_or_path} is not embedded; give the path of its file or folder")
    if path.is_file():
        read_header(path)  # says what is wrong with a file that is no safetensors file
    if path.is_dir() or is_wan_vae(path):
        return load_wan_vae(path, device=device)
    return load_patch_vae(path).to(device)


def _embedded() -> dict[str, Path]:
    """The files that ship with the package, models and VAEs, by name."""
    return {path.stem: path for path in CHECKPOINTS.glob("*.safetensors")}


def _embedded_vae(name: str) -> Path:
    """The embedded VAE that a recipe names. A name is never taken for a path: a checkpoint opens no other file."""
    if name not in _embedded():
        raise ValueError(f"the VAE {name} is not embedded; give the path of its file or folder")
    return _embedded()[name]
