"""Writes files whole: a disk that is full, or a killed process, leaves no half of one."""

from pathlib import Path


def write_file_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file whole or not at all: if writing fails, the file keeps its old content. A missing folder is
    made. A symbolic link, or a path that is not a regular file (such as /dev/stdout), is written directly,
    without this guarantee. Raises OSError if writing fails."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(data)
        return
    new_file = path.with_name(f"{path.name}.new")
    try:
        new_file.write_bytes(data)
        new_file.replace(path)
    finally:
        new_file.unlink(missing_ok=True)
