"""A seccomp filter."""


def load(capabilities: int) -> None: ...
