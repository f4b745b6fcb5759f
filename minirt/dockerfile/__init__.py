"""The language of Dockerfiles: text to typed instructions, variables, ``.dockerignore``, build checks, help.

Nothing here touches a file or builds anything. The way in is :func:`parse`; then, for each instruction,
:func:`expand_instruction` with the variables known at that point.
"""

from minirt.dockerfile.document import Directive, Dockerfile, Notice, Stage
from minirt.dockerfile.expansion import Expanded, expand
from minirt.dockerfile.forms import ArgDeclaration, Command, ExecForm, Heredoc, InlineFile, Pair, ShellForm
from minirt.dockerfile.help import FlagHelp, InstructionHelp, keywords, mount_options, reference
from minirt.dockerfile.ignore import Ignore, IgnorePattern
from minirt.dockerfile.instructions import (
    KEYWORDS,
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from minirt.dockerfile.mounts import (
    BindMount,
    CacheMount,
    Mount,
    SecretMount,
    SshMount,
    TmpfsMount,
    UnresolvedMount,
)
from minirt.dockerfile.parser import parse, parse_trigger
from minirt.dockerfile.substitution import Substituted, expand_instruction

__all__ = [
    "Add",
    "Arg",
    "ArgDeclaration",
    "BindMount",
    "CacheMount",
    "Cmd",
    "Command",
    "Copy",
    "Directive",
    "Dockerfile",
    "Entrypoint",
    "Env",
    "ExecForm",
    "Expanded",
    "Expose",
    "FlagHelp",
    "From",
    "Healthcheck",
    "Heredoc",
    "Ignore",
    "IgnorePattern",
    "InlineFile",
    "Instruction",
    "InstructionHelp",
    "KEYWORDS",
    "Label",
    "Maintainer",
    "Mount",
    "Notice",
    "OnBuild",
    "Pair",
    "Run",
    "SecretMount",
    "Shell",
    "ShellForm",
    "SshMount",
    "Stage",
    "StopSignal",
    "Substituted",
    "TmpfsMount",
    "UnresolvedMount",
    "User",
    "Volume",
    "Workdir",
    "expand",
    "expand_instruction",
    "keywords",
    "mount_options",
    "parse",
    "parse_trigger",
    "reference",
]
