"""The joint model as ComfyUI knows models: a BaseModel over nested latents, its configuration and its latent format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import comfy.conds
import comfy.model_base
import comfy.supported_models_base
import comfy.utils
import torch
from comfy.nested_tensor import NestedTensor
from torch import Tensor

from ...raxel_core.latents.frames import pixel_frames
from ...raxel_core.recipe import Recipe
from ...raxel_core.weights.checkpoint import config_from_json
from ...raxel_core.weights.state_dict import expected_shapes
from .conditioning import SOURCES_KEY, SourceLatents
from .latent_format import RaxelLatentFormat
from .network import RaxelNetwork, frame_levels, patch_bare_parameters
from .packing import Shapes, frame_mask, pack, run_shapes, unpack

IMAGE_MODEL = "raxel"
# ComfyUI's own measure of Wan: working memory per latent pixel grows with the width, 2.3 for 5120 channels in 2x2
# patches.
_MEMORY_PER_CHANNEL = 1 / 2222
_WAN_PATCH_AREA = 4
# Up to this width a network gains nothing from half precision, and its cameras lose accuracy.
_FLOAT32_DIM = 512
_SHAPES_UNKNOWN = (
    "this ComfyUI's own samplers run raxel models from Load Raxel Model only, not from its own loaders; "
    "Joint Sampler does"
)
# The names of tensors in a state dict that carry what a checkpoint's header says, where a saver drops the header.
HEADER_TENSORS = ("raxel_config", "raxel_recipe")


class RaxelModelConfig(comfy.supported_models_base.BASE):
    """What ComfyUI's loaders build the model from; `unet_config` holds the checkpoint's header as JSON."""

    unet_config = {"image_model": IMAGE_MODEL}
    unet_extra_config: dict[str, Any] = {}
    sampling_settings = {"shift": 1.0, "multiplier": 1000}
    supported_inference_dtypes = [torch.bfloat16, torch.float16, torch.float32]

    def __init__(self, unet_config: Mapping[str, Any]) -> None:
        super().__init__(unet_config)
        self.config = config_from_json(unet_config["raxel_config"])
        self.recipe = Recipe.from_json(unet_config["raxel_recipe"])
        if self.config.ray_representation != "raxel":
            raise ValueError(
                f"this checkpoint gives cameras as {self.config.ray_representation} maps; ComfyUI runs raxel ones only"
            )
        self.sampling_settings = {**self.sampling_settings, "shift": self.recipe.sampling_shift}
        self.latent_format = RaxelLatentFormat(self.recipe, self.config)
        patch_area = self.config.patch[1] * self.config.patch[2]
        self.memory_usage_factor = self.config.dim * _MEMORY_PER_CHANNEL * _WAN_PATCH_AREA / patch_area
        if self.config.dim <= _FLOAT32_DIM:
            self.supported_inference_dtypes = [torch.float32]

    def get_model(
        self, state_dict: Mapping[str, Tensor], prefix: str = "", device: torch.device | None = None
    ) -> RaxelBaseModel:
        """The model without its weights."""
        return RaxelBaseModel(self, device=device)

    def clip_target(self, state_dict: Mapping[str, Tensor] | None = None) -> None:
        """No text encoder travels with a raxel checkpoint."""

    def process_unet_state_dict(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights alone."""
        return {name: tensor for name, tensor in state_dict.items() if name not in HEADER_TENSORS}

    def process_unet_state_dict_for_saving(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights, with the header as tensors: stock savers do not write ours, and without it a model is lost."""
        header = {name: tensor_of_text(self.unet_config[name]) for name in HEADER_TENSORS}
        return super().process_unet_state_dict_for_saving({**state_dict, **header})


class RaxelBaseModel(comfy.model_base.BaseModel):
    """ComfyUI's side of the joint model: two streams in one pack, statistics and masks per stream, sources."""

    memory_usage_factor_conds: Sequence[str]

    def __init__(self, model_config: RaxelModelConfig, device: torch.device | None = None) -> None:
        super().__init__(model_config, comfy.model_base.ModelType.FLOW, device=device, unet_model=RaxelNetwork)
        self.config = model_config.config
        self.recipe = model_config.recipe
        self.latent_shapes: Shapes | None = None
        self.memory_usage_factor_conds = ("source_video", "source_rays")

    def load_model_weights(self, sd: dict[str, Tensor], unet_prefix: str = "", assign: bool = False) -> RaxelBaseModel:
        """Take the weights, all of them, out of `sd`; ValueError in one sentence where they are not this network's.

        The network holds the tensors themselves, so that mapped ones stay in their file: in its own dtype, or with
        `assign` (ComfyUI's dynamic VRAM) in the file's, which ComfyUI casts from.
        """
        names = [name for name in sd if name.startswith(unet_prefix)]
        given = self.model_config.process_unet_state_dict({n.removeprefix(unet_prefix): sd.pop(n) for n in names})
        own = dict(self.diffusion_model.named_parameters())  # not what layers make of quantised weights
        self._check_weights(given, own)
        if not assign:
            given = {n: writable(plain(w, own[n].dtype) if n in own else w) for n, w in given.items()}
        self.diffusion_model.load_state_dict(given, strict=False, assign=True)
        return self

    def _check_weights(self, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
        """ValueError with the first five names where tensors are missing, surplus or of another shape.

        Quantised files hold more tensors than the network has, so of those only the missing ones count.
        """
        expected = expected_shapes(self.config)
        quantised = self.model_config.quant_config is not None or self.model_config.custom_operations is not None
        misshapen = [name for name in own if name in given and given[name].shape != expected[name]]
        wrong = {
            "is missing": set(expected) - set(given),
            "has surplus": [] if quantised else set(given) - set(expected),
            "has misshapen": misshapen,
            "has non-float": [name for name in own if name in given and not given[name].is_floating_point()],
        }
        for what, names in wrong.items():
            if names:
                raise ValueError(f"this raxel checkpoint {what} tensors ({len(names)}): {', '.join(sorted(names)[:5])}")

    def process_latent_in(self, latent: Tensor | NestedTensor) -> Tensor | NestedTensor:
        """Raw latents -> the model's: nested, as a flat pack, or the video alone [B, C, T, h, w]."""
        return self._per_stream(latent, "normalize")

    def process_latent_out(self, latent: Tensor | NestedTensor) -> Tensor | NestedTensor:
        """The model's latents -> raw, in the same three forms."""
        return self._per_stream(latent, "denormalize")

    def _per_stream(self, latent: Tensor | NestedTensor, method: str) -> Tensor | NestedTensor:
        convert = (getattr(self.recipe.video_statistics, method), getattr(self.recipe.ray_statistics, method))
        if latent.is_nested:
            return NestedTensor([f(x) for f, x in zip(convert, latent.unbind(), strict=True)])
        if latent.ndim == 5:
            return convert[0](latent)
        shapes = self.packed_shapes()
        if sum(math.prod(shape[1:]) for shape in shapes) != latent.shape[-1]:
            raise ValueError(_SHAPES_UNKNOWN)  # they are those of an earlier run
        return pack([f(x) for f, x in zip(convert, unpack(latent, shapes), strict=True)])

    def packed_shapes(self) -> Shapes:
        """The shapes of both streams of the run; ValueError when it has no two streams or ComfyUI does not tell."""
        shapes = run_shapes() or self.latent_shapes
        if shapes is None:
            raise ValueError(_SHAPES_UNKNOWN)
        if len(shapes) != 2:
            raise ValueError(
                "a raxel model samples a joint latent (video and rays), got a plain one: connect Join Raxel Latent"
            )
        return shapes

    def extra_conds(self, **conds: Any) -> dict[str, comfy.conds.CONDRegular]:
        """What the network is called with: text, masks per frame, sources, and the shapes that make ComfyUI unpack."""
        if self.current_patcher is not None:  # one of a stock loader leaves this to us
            patch_bare_parameters(self.current_patcher)
        if run_shapes() is None:  # a stock loader's model runs without our wrapper: kept where ComfyUI 0.33 keeps it
            self.latent_shapes = conds.get("latent_shapes", self.latent_shapes)
        self.latent_format.latent_shapes = shapes = self.packed_shapes()
        out = {"latent_shapes": comfy.conds.CONDConstant(shapes), **self._text_conds(conds.get("cross_attn"))}
        mask = conds.get("denoise_mask")
        masks = (None, None) if mask is None else [frame_mask(x) for x in unpack(mask, shapes)]
        for name, one in zip(("video_mask", "ray_mask"), masks, strict=True):
            if one is not None:
                out[name] = comfy.conds.CONDRegular(one)
        if SOURCES_KEY in conds:
            rays_are_given = masks[1] is not None and not bool(masks[1].any())
            out.update(self._source_conds(conds[SOURCES_KEY], shapes, rays_are_given=rays_are_given))
        return out

    def apply_model(
        self,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        *,
        latent_shapes: Shapes,
        video_mask: Tensor | None = None,
        ray_mask: Tensor | None = None,
        **conds: Any,
    ) -> Tensor:
        """ComfyUI's model call at its noise level t [B]; what each frame is told of it goes to the network as tensors.

        Not earlier and not later: conditions are the same in all steps, and a compiled network does not look into
        `transformer_options` again.
        """
        options = transformer_options or {}
        levels = frame_levels(t, latent_shapes, (video_mask, ray_mask), options)
        given = {**conds, "latent_shapes": latent_shapes, "levels": levels}
        return super().apply_model(x, t, c_concat, c_crossattn, control, options, **given)

    def _text_conds(self, text: Tensor | None) -> dict[str, comfy.conds.CONDRegular]:
        """The prompt, for a network that reads one; the one-channel placeholder of a missing prompt is dropped."""
        if text is None or self.config.text_dim is None or text.shape[-1] == 1:
            return {}
        if text.shape[-1] != self.config.text_dim:
            raise ValueError(
                f"this checkpoint reads text of {self.config.text_dim} channels, the text encoder gives "
                f"{text.shape[-1]}: load the encoder it was trained with (umt5-xxl for Wan)"
            )
        return {"c_crossattn": comfy.conds.CONDCrossAttn(text)}

    def _source_conds(
        self, sources: SourceLatents, shapes: Shapes, *, rays_are_given: bool
    ) -> dict[str, comfy.conds.CONDRegular]:
        """Source frames in the model's latents; their cameras only where the rays do not hold them already."""
        rays_are_given = rays_are_given and not sources.beside(pixel_frames(shapes[0][2]))
        out = {"source_times": comfy.conds.CONDConstant(sources.times)}
        if sources.video is not None:
            self._check_source_size(sources.video, shapes[0])
            out["source_video"] = comfy.conds.CONDRegular(self.recipe.video_statistics.normalize(sources.video))
        if sources.rays is not None and not rays_are_given:
            out["source_rays"] = comfy.conds.CONDRegular(self.recipe.ray_statistics.normalize(sources.rays))
        return out

    def _check_source_size(self, images: Tensor, video_shape: Sequence[int]) -> None:
        """ValueError unless source images [1, C, N, h, w] have the size of the video."""
        found, expected = map(self.latent_format.sizes.video_hw, (images.shape, video_shape))
        if found != expected:
            raise ValueError(
                f"the source images are {found[0]}x{found[1]} pixels high and wide and the video is "
                f"{expected[0]}x{expected[1]}: resize one of them"
            )

    def extra_conds_shapes(self, **conds: Any) -> dict[str, list[int]]:
        """The sizes of the sources, for ComfyUI's estimate of memory."""
        sources: SourceLatents | None = conds.get(SOURCES_KEY)
        if sources is None:
            return {}
        latents = {"source_video": sources.video, "source_rays": sources.rays}
        return {name: list(given.shape) for name, given in latents.items() if given is not None}

    def memory_required(
        self, input_shape: Sequence[int], cond_shapes: Mapping[str, list[Sequence[int]]] | None = None
    ) -> float:
        """ComfyUI's estimate for a pack [B, 1, N], which counts channels as pixels unless they are divided out."""
        if len(input_shape) == 3:
            input_shape = [input_shape[0], 1, math.ceil(input_shape[2] / self.config.in_channels)]
        return super().memory_required(input_shape, cond_shapes=cond_shapes or {})

    def scale_latent_inpaint(
        self, sigma: Tensor, noise: Tensor, latent_image: Tensor, denoise_mask: Tensor | None = None, **unused: Any
    ) -> Tensor:
        """What stands where the mask says "keep": clean latents, since the network is told each frame's noise level.

        A frame kept in part has one noise level for all of it, the one of its largest mask value M; there the kept
        part gets so much noise, c, that mask * x + (1 - mask) * kept is at level M * sigma everywhere.
        """
        if denoise_mask is None:
            return latent_image
        masks = unpack(denoise_mask, self.packed_shapes())
        level = pack([mask.amax(dim=(1, 3, 4), keepdim=True).expand_as(mask) for mask in masks])
        share = (level - denoise_mask) / (1.0 - denoise_mask).clamp(min=1e-6)
        c = sigma.reshape(-1, 1, 1) * share.clamp(0.0, 1.0)
        return torch.where(c == 0.0, latent_image, (1.0 - c) * latent_image + c * noise)

    def map_context_window_to_modalities(
        self, primary_indices: Sequence[int], latent_shapes: Shapes, dim: int
    ) -> list[list[int]]:
        """Both streams have the same frames, so a context window takes the same ones of each."""
        return [list(primary_indices) for _ in latent_shapes]

    def resize_cond_for_context_window(
        self, cond_key: str, cond_value: Any, window: Any, x_in: Tensor, device: torch.device, **unused: Any
    ) -> Any:
        """Cut the masks [B, T] to a context window; sources belong to every window and stay whole."""
        if cond_key in ("video_mask", "ray_mask"):
            stream = window.get_window_for_modality(0 if cond_key == "video_mask" else 1)
            return cond_value._copy_with(stream.get_tensor(cond_value.cond, device, dim=1))
        return cond_value if cond_key in ("source_video", "source_rays", "source_times") else None


def plain(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A weight as an ordinary tensor of a dtype, whatever a loader of quantised files wraps it in."""
    return tensor.as_subclass(Tensor).to(dtype)


def writable(tensor: Tensor) -> Tensor:
    """The tensor, or a copy where it lies in ComfyUI's own map of a file, which is for reading only."""
    return tensor.clone() if hasattr(tensor.untyped_storage(), "_comfy_tensor_mmap_refs") else tensor


def tensor_of_text(text: str) -> Tensor:
    """Text as a uint8 tensor [n], the only form a state dict can carry it in."""
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def text_of_tensor(tensor: Tensor) -> str:
    """The text that `tensor_of_text` wrote."""
    return bytes(tensor.cpu().to(torch.uint8).tolist()).decode()
