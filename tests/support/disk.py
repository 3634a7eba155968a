"""Disks that misbehave: a small file system of its own, and system calls that fail or take long."""
import contextlib
import os
import shutil
import subprocess
import tempfile

from support.orbit import Skipped


def _run(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Skipped(f"{words[0]}: {done.stdout.strip()}")


class SmallDisk:
    """An ext4 file system in a file, mounted; `path` is its root. Needs root and loop devices."""

    def __init__(self, megabytes):
        for tool in ("mkfs.ext4", "mount"):
            if not shutil.which(tool):
                raise Skipped(f"{tool} is not installed")
        self.directory = tempfile.mkdtemp(prefix="orbit-disk-")
        self.path = os.path.join(self.directory, "mounted")
        self._image = os.path.join(self.directory, "image")
        os.mkdir(self.path)
        try:
            with open(self._image, "wb") as f:
                f.truncate(megabytes << 20)
            _run("mkfs.ext4", "-q", "-m", "0", self._image)
            _run("mount", "-o", "loop", self._image, self.path)
        except Skipped:
            shutil.rmtree(self.directory)
            raise

    def free_bytes(self):
        facts = os.statvfs(self.path)
        return facts.f_bavail * facts.f_frsize

    def read_only(self, yes):
        _run("mount", "-o", "remount,ro" if yes else "remount,rw", self.path)

    def grow(self, megabytes):
        """As an operator does who has no other choice; nobody may use it meanwhile."""
        _run("umount", self.path)
        os.truncate(self._image, os.path.getsize(self._image) + (megabytes << 20))
        _run("e2fsck", "-f", "-p", self._image)
        _run("resize2fs", self._image)
        _run("mount", "-o", "loop", self._image, self.path)

    def _ballast(self):
        return os.path.join(self.path, "ballast")

    def load_ballast(self, size):
        """Takes room away, if it is there."""
        with contextlib.suppress(OSError), open(self._ballast(), "wb") as f:
            if size > 0:
                os.posix_fallocate(f.fileno(), 0, size)

    def drop_ballast(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._ballast())

    def close(self):
        subprocess.run(["umount", self.path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not os.path.ismount(self.path):
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def traced(*injections):
    """Words to put before a program so that its system calls fail or take long: `pwritev2:error=EIO:when=5+`."""
    if not shutil.which("strace"):
        raise Skipped("strace is not installed")
    calls = ",".join(sorted({injection.split(":")[0] for injection in injections}))
    words = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={calls}",
             *(word for injection in injections for word in ("-e", f"inject={injection}"))]
    if subprocess.run([*words, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        raise Skipped("strace may not trace here")
    return words
