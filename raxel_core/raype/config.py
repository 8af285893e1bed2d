"""What a RayPE run is: `train --method raype`. Its ablations are those of the paper's table 3, one switch each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from ..latents.statistics import LatentStatistics
from ..recipe import latent_statistics
from ..strict_json import check_choice, printable, shown
from ..training.config import COUNT, POSITIVE, SHARE, Limits, RunConfig
from .encoding import PAPER_GATE

EXPERTS = ("", "high", "low")


@dataclass(frozen=True)
class RayPEVariant:
    """RayPE with parts switched off (arXiv 2606.27345, section 5.3.2, table 3); as it stands it is the paper's own.

    `flip` False is "w/o Q/K flip": queries and keys both read (d, m^, s).
    `ngi` False is "w/o Normalize-Gate-Inject": E reads the raw (d, m); no decomposition, gate or norm. Alpha stays.
    `pe_norm` False is "w/o PE RMSNorm": decomposition and gate are kept.
    `zero_init` False is "w/o zero init": random projections and alpha = 1, so that the first step is disturbed.
    `value` True is "with V transform": values too get a gated and normed projection of (d, m^, s), with an alpha.
    `cross_terms` False is "w/o (B)+(C)" and `geometry_term` False "w/o (D)" of equation 9: the score of a pair keeps
    content with content, and of content with rays and rays with rays only the other kind.
    "w/o log-scale aug." is `augment_share` 0 of the run. ValueError where no term with rays is left.
    """

    flip: bool = True
    ngi: bool = True
    pe_norm: bool = True
    zero_init: bool = True
    value: bool = False
    cross_terms: bool = True
    geometry_term: bool = True

    def __post_init__(self) -> None:
        if not (self.cross_terms or self.geometry_term):
            raise ValueError("a RayPE without cross_terms and without geometry_term has no effect on attention")

    @property
    def deployed(self) -> bool:
        """Whether inference (`model.raype`) computes this: only then may it be saved under RayPE's names."""
        trained = self.flip and self.ngi and self.pe_norm and not self.value
        return trained and self.cross_terms and self.geometry_term

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> RayPEVariant:
        """The switches of a JSON object; ValueError names one that does not exist or is not true or false."""
        names = {field.name for field in fields(cls)}
        wrong = [name for name, value in values.items() if name not in names or not isinstance(value, bool)]
        if wrong:
            raise ValueError(
                f"variant of the training configuration has switches {', '.join(sorted(names))}, "
                f"each true or false, got {printable(wrong[0], 40)}: {shown(values[wrong[0]])}"
            )
        return cls(**values)


def _statistics(values: Any) -> LatentStatistics:
    return latent_statistics("statistics of the training configuration", values)


@dataclass(frozen=True)
class RayPETrainConfig(RunConfig):
    """A run that tunes a Wan backbone with RayPE (arXiv 2606.27345, appendix B), first frame given.

    Backbone: one that is told the first frame by its noise level 0 (Wan 2.2 TI2V-5B), or, of the two of Wan 2.2 I2V
    A14B, the `expert` "high" or "low": told the first frame by channels of a mask and of the clip with the rest grey,
    and asked at noise levels from `boundary` up or below it. RayPE: `raype` False trains the same parameters of the
    backbone without cameras; `hidden`, `gate_hidden` and `moment_eps` as in `RayPEConfig`; `variant` holds the
    ablations. Data: centres are multiplied by `eta`, the factor of a data set, and with `near_depth` divided by the
    near depth of the clip's first frame. `statistics` of the latents are the VAE's own or measured where none are
    given. Objective: velocity of the frames after the first (of an expert all), noise levels under the flow shift
    `video_shift`; with `spread_weights` an error of a channel counts as it does in the picture (for a VAE whose
    channels differ widely). In `augment_share` of the clips the gate, and it alone, reads s + U(`augment_range`)
    (equation 16). Validation: the loss, and videos in `sampling_steps` steps (an expert's share of them: the high one's
    from noise to what it sees at the boundary, the low one's from the true clip at the boundary's noise), led by
    `text_guidance` from the empty prompt to the one that is given, if any, and by `camera_guidance` from no cameras to
    the clip's (1: not led). Optimiser: AdamW, from `learning_rate` along a cosine to a tenth of it at the end of the
    run.
    """

    expert: str = ""
    boundary: float = 0.9
    raype: bool = True
    hidden: int = 0
    gate_hidden: int = PAPER_GATE
    moment_eps: float = 1e-6
    variant: RayPEVariant = RayPEVariant()
    eta: float = 1.0
    near_depth: bool = True
    statistics: LatentStatistics | None = None
    video_shift: float = 5.0
    spread_weights: bool = False
    augment_share: float = 0.3
    augment_range: tuple[float, float] = (-1.2, 1.6)
    learning_rate: float = 2e-5
    weight_decay: float = 1e-2
    ema: float = 0.0
    gradient_checkpointing: bool = True
    validate_every: int = 5000
    validation_clips: int = 100
    sampling_steps: int = 50
    text_guidance: float = 5.0
    camera_guidance: float = 1.0
    nested: ClassVar[Mapping[str, Callable[[Any], object]]] = {
        **RunConfig.nested, "variant": RayPEVariant.from_values, "statistics": _statistics,
    }  # fmt: skip
    limits: ClassVar[Limits] = {
        **RunConfig.limits, "boundary": (0.01, 0.99), "moment_eps": POSITIVE, "eta": POSITIVE, "video_shift": POSITIVE,
        "augment_share": SHARE, "augment_range": (-100.0, 100.0), "learning_rate": POSITIVE, "sampling_steps": COUNT,
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("expert of the training configuration", self.expert, EXPERTS)

    @property
    def codes_lead(self) -> bool:
        """As `RunConfig`'s: an expert reads it."""
        return bool(self.expert)

    @property
    def levels(self) -> tuple[float, float]:
        """The noise levels that are trained, from above the first (an expert's "high" from it) up to the second."""
        return {"high": (self.boundary, 1.0), "low": (0.0, self.boundary)}.get(self.expert, (0.0, 1.0))
