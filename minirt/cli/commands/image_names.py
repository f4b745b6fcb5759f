"""``tag`` and ``rmi``: names of images come and go, and images with their last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minirt.cli.common import each
from minirt.cli.grammar import command, switch, values
from minirt.cli.session import Session
from minirt.errors import ImageNotFound, InvalidReference, MinirtError, Unsupported
from minirt.model.platform import Platform

if TYPE_CHECKING:
    from minirt.engine.images import Image

__all__ = ["rmi", "tag"]


@command(
    "tag",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    usage="SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    arity=(2, 2),
    operands="image",
)
def tag(session: Session, arguments: tuple[str, ...]) -> None:
    from minirt.model.reference import Reference

    source, target = arguments
    try:
        ref = Reference.parse(target)
    except InvalidReference as error:
        error.what = f'Error parsing reference: "{target}" is not a valid repository/tag: {error.what}'
        raise
    session.engine.images.get(source).tag(ref.familiar_name, ref.tag)


def _check_platforms(image: Image, name: str, wanted: Sequence[Platform]) -> None:
    """Raises :class:`ImageNotFound` where it is of none of these, :class:`Unsupported` where it is of others, too."""
    there = image.platforms()
    for platform in wanted:
        if str(platform) not in there:
            raise ImageNotFound(
                f"image with reference {name} was found but its platform ({', '.join(there)})"
                f" does not match the specified platform ({platform})"
            )
    if wanted and len(there) > len(set(map(str, wanted))):
        raise Unsupported(
            f"{name} is for {', '.join(there)}, and minirt keeps or removes an image whole",
            hint="Leave --platform out to remove all of it.",
        )


@command(
    "rmi",
    "Remove one or more images",
    usage="[OPTIONS] IMAGE [IMAGE...]",
    arity=(1, None),
    operands="image",
    flags=[
        switch("--force", "f", "Force removal of the image"),
        switch("--no-prune", "", "Do not delete untagged parents"),
        values(
            "--platform",
            "",
            'Remove only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
            word="strings",
            parse=Platform.parse,
            name="platforms",
        ),
    ],
)
def rmi(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    def remove(name: str) -> str | None:
        _check_platforms(session.engine.images.get(name), name, options["platforms"])
        removed = session.engine.images.remove(name, force=options["force"])
        lines = [f"Untagged: {text}" for text in removed.untagged]
        lines += [f"Deleted: {digest}" for digest in (*removed.deleted, *removed.layers)]
        return "\n".join(lines) or None

    try:
        each(session, arguments, remove)
    except MinirtError as error:
        from minirt.errors import ImageNotFound

        if not (options["force"] and isinstance(error, ImageNotFound)):
            raise
        session.complain_of(error)  # docker: with --force what is gone already is no failure
