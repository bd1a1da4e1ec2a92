"""The image without an engine of containers: the Dockerfile's last stage, step by step, in an empty Debian."""

import os
import re
import shutil
import subprocess

from server import ROOT, VECGO, ran

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DOCKERFILE = ROOT / "deploy/Dockerfile"


def instructions():
    """Those of the last stage."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    assert lines[last] == "FROM debian:bookworm-slim", lines[last]
    return [line.split(None, 1) for line in lines[last + 1:]]


def mirror():
    """Where this machine has its packages from."""
    sites = ran("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)").splitlines()
    return next(line.split()[0] for line in sites if line.split()[-1].startswith(("bookworm", "trixie")))


class Image:
    """What the steps make: a root, and what a container would be started with."""

    def __init__(self, root):
        self.root, self.environment, self.entry, self.user, self.volume = root, {}, [], None, None
        ran("debootstrap", "--variant=minbase", "bookworm", root, mirror())
        for name, rest in instructions():
            self.step(name, rest)

    def step(self, name, rest):
        if name == "RUN":
            ran("chroot", self.root, "sh", "-c", rest, env={"PATH": PATH, **proxies()})
        elif name == "COPY":
            stage, source, target = rest.split()
            assert (stage, source) == ("--from=build", "/source/target/release/vecgo"), rest
            # The stage before builds that with `cargo build`; this one is built already.
            shutil.copy(VECGO, f"{self.root}{target}")
        elif name == "ENV":
            self.environment.update(re.findall(r"(\S+?)=(\S+)", rest))
        elif name == "USER":
            self.user = rest
        elif name == "VOLUME":
            self.volume = rest
        elif name == "ENTRYPOINT":
            self.entry = re.findall(r'"([^"]+)"', rest)
        else:
            assert name in ("EXPOSE", "STOPSIGNAL"), name

    def start(self, volume, *arguments, **environment):
        """A process of it: its user, its environment alone, a root that cannot be written, one volume, no
        rights."""
        user, group = self.user.split(":")
        mounts = (
            f"mount --bind {self.root} {self.root} && mount --bind {volume} {self.root}{self.volume} && "
            f"mount -o remount,bind,ro {self.root} && "
            # No /proc of its own: what the machine has is found by other ways, or not needed.
            f"exec chroot {self.root} setpriv --reuid={user} --regid={group} --clear-groups --bounding-set=-all "
            '--no-new-privs -- "$@"'
        )
        command = ["unshare", "--mount", "sh", "-c", mounts, "sh", *self.entry, *arguments]
        variables = {"PATH": PATH, **self.environment, **environment}
        return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def proxies():
    return {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
