"""An architecture that was read from a run, and can build its network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gtn_nas.architecture import Architecture
from gtn_nas.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from gtn_nas.spaces.base import Scale


@dataclass(frozen=True, eq=False)
class StoredArchitecture(Architecture):
    """An architecture that a run evaluated.

    Attributes:
        space_setting: the search space as the run's configuration names it.
        facts: entries that the run noted when it started, by name: image shapes, classes, and the
            fingerprint of the space's code.
    """

    space_setting: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[type[StoredArchitecture], tuple[Any, ...]]:
        """Pickle as plain data."""
        return type(self), (self.space, dict(self.choices), self.space_setting, dict(self.facts))

    def build(
        self,
        space: str | None = None,
        *,
        scale: Scale = "final",
        input_shape: tuple[int, int, int] | None = None,
        num_classes: int | None = None,
    ) -> nn.Module:
        """Build the network, freshly initialised.

        Args:
            space: the run's search space. It must be given if it is a user's own ``module:Class``,
                since the module is imported and thus executed.
            scale: ``"final"`` for the network that is fully trained, ``"proxy"`` for the small
                network that proxies train.
            input_shape: channels, height and width of an image; by default those of the run.
            num_classes: number of logits; by default that of the run.

        Raises:
            ConfigError: the space is a user's own and was not given, or the given space is another
                one; or the run was started by a version that did not note the shape of its images.
        """
        if space is None and ":" in self.space_setting:
            raise ConfigError(
                f"this run's search space is the module {self.space_setting!r}, which would be "
                f"executed; name it again to allow that: build(space={self.space_setting!r})"
            )

        from gtn_nas.spaces import get_space
        from gtn_nas.spaces.fingerprint import changed_modules

        found = get_space(space or self.space_setting or self.space)
        if found.name != self.space:
            raise ConfigError(f"{self.key} is of the search space {self.space}, not {found.name}")
        changed = changed_modules(self.facts.get("search space"), found)
        if changed:
            warnings.warn(
                f"the source of the search space {self.space} changed since the run started "
                f"({', '.join(changed)}); its networks may have changed too",
                stacklevel=2,
            )
        shape, classes = self._images(scale)
        shape, classes = input_shape or shape, num_classes or classes
        if shape is None or classes is None:
            raise ConfigError(
                "this run did not note the shape of its images; give it, e.g. "
                "build(input_shape=(1, 28, 28), num_classes=10)"
            )
        return found.build(self, shape, classes, scale)

    def _images(self, scale: Scale) -> tuple[tuple[int, int, int] | None, int | None]:
        """Return the run's image shape and number of classes; ``None`` for what it did not note."""
        shape = self.facts.get("image_shape" if scale == "final" else "proxy_image_shape")
        classes = self.facts.get("classes")
        try:
            channels, height, width = (int(side) for side in shape or ())
        except (TypeError, ValueError):
            return None, len(classes) if classes else None
        return (channels, height, width), len(classes) if classes else None
