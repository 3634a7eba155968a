"""harness.py -- what perf/compare, memory, idle, scale and durable share.

Starts servers pinned to CPUs, drives them with `orbit bench`, reads their CPU clocks and
memory from outside, and says on which machine and with which versions that was. Servers
keep nothing on disk unless a script says so. Standard library only.
"""
import argparse, contextlib, ctypes, datetime, http.client, json, mmap, os, platform, re, signal, socket, statistics, subprocess
import sys, tempfile, time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
results = root / "perf" / "results"
sys.path.insert(0, str(root / "tests"))
from support.orbit import free_port  # noqa: E402


# ---- programs ----------------------------------------------------------------------------

def arguments(meaning, **more):
    """The flags that all have; `more`: name=(default, meaning)."""
    cpus = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=meaning, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--orbit", default=str(root / "build" / "orbit"), help="the server under test")
    parser.add_argument("--bench", help="the orbit whose generator drives; by default the same")
    parser.add_argument("--redis", default="redis-server", help="the peer")
    parser.add_argument("--echo", default=str(root / "build" / "perf" / "echo" / "perf-echo"), help="the floor")
    parser.add_argument("--server-cpu", type=int, default=cpus[0], help="CPU of the servers")
    parser.add_argument("--client-cpu", type=int, default=cpus[1 % len(cpus)], help="CPU of the generator")
    parser.add_argument("--directory", default=tempfile.gettempdir(), help="servers' directories are made in it")
    parser.add_argument("--no-result", action="store_true", help="write no file to perf/results")
    for name, (default, text) in more.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(default, bool):
            parser.add_argument(flag, action="store_true", help=text)
        else:
            parser.add_argument(flag, type=type(default), default=default, help=text)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that what was started is ended
    options.bench = options.bench or options.orbit
    for program in (options.orbit, options.bench):
        if not Path(program).exists():
            parser.error(f"there is no {program}: build it with scripts/build")
    return options


def said_by(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def cpu_model():
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found.group(1) if found else platform.machine()


def surroundings(options):
    """Without this a figure means nothing."""
    changed = bool(said_by("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"))
    return {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(), "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "kernel": platform.release(), "load": os.getloadavg(),
        "orbit": said_by(options.orbit, "version"), "redis": said_by(options.redis, "--version"),
        "commit": said_by("git", "-C", str(root), "rev-parse", "--short", "HEAD") + ("+changes" if changed else ""),
        "flags": sys.argv[1:],
    }


no_log = "no server keeps anything on disk (orbit --persist no; redis --appendonly no)"


def print_surroundings(where, kept=no_log):
    redis = re.search(r"v=(\S+)", where["redis"])
    print(f"{where['cpu']}, {where['cpus']} CPUs, {where['memory_gib']} GiB, Linux {where['kernel']}, "
          f"load {where['load'][0]:.1f}")
    print(f"{where['orbit']} at {where['commit']}; redis {redis.group(1) if redis else 'none'}; "
          f"flags: {' '.join(where['flags']) or 'none'}")
    print(f"{kept}\n")


def write_result(options, name, where, figures):
    if options.no_result:
        return
    results.mkdir(exist_ok=True)
    path = results / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps({"where": where, "figures": figures}, indent=1) + "\n")
    print(f"\n{path.relative_to(root)}")


# ---- servers -----------------------------------------------------------------------------



class Wire:
    """One connection, for the odd command."""

    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def ask(self, *words):
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return rest.decode()


def prepare_server(small_pages):
    """Runs in the child: it must not outlive us, however we end."""
    prctl = ctypes.CDLL(None).prctl
    prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
    if small_pages:
        prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE


start_max_s = 120  # data may have to be loaded


class Server:
    """A process pinned to CPUs, in an empty directory of its own, or in one that stays the caller's."""

    def __init__(self, options, name, command, cpus, port, http_port=None, small_pages=False, directory=None):
        self.name, self.port, self.http_port = name, port, http_port
        self.own = None if directory else tempfile.TemporaryDirectory(prefix="orbit-perf-", dir=options.directory)
        self.directory = Path(directory or self.own.name)
        self.log = open(self.directory / "log", "w+b")
        self.started_at = time.monotonic()
        cpu_list = ",".join(map(str, cpus))
        # taskset becomes the server: the pid is the same.
        self.process = subprocess.Popen(["taskset", "-c", cpu_list, *command], cwd=self.directory,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        preexec_fn=lambda: prepare_server(small_pages))
        self.pid = self.process.pid

    def __enter__(self):
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        if self.own:
            self.own.cleanup()

    def wait_until_ready(self):
        """Sets ready_after_s: from the start of the process to the first answer; one that loads says so instead."""
        while True:
            try:
                with Wire(self.port) as wire:
                    wire.ask("PING")
                self.ready_after_s = time.monotonic() - self.started_at
                return
            except (OSError, RuntimeError):
                if self.process.poll() is not None or time.monotonic() - self.started_at > start_max_s:
                    raise SystemExit(f"{self.name} does not start:\n{self.log_text()}")
                time.sleep(0.0005)

    def log_text(self):
        self.log.flush()
        return Path(self.log.name).read_text(errors="replace")

    def ask(self, *words):
        with Wire(self.port) as wire:
            return wire.ask(*words)

    def cpu_ns(self):
        """The process CPU clock: all threads, ended ones and io_uring's workers too."""
        return time.clock_gettime_ns((~self.pid << 3) | 2)

    def resident_bytes(self):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found.group(1)) * 1024

    def metrics_text(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    def metrics(self):
        """Sums over cores, by name; empty for servers without /metrics."""
        if not self.http_port:
            return {}
        sums = {}
        for name, value in re.findall(r"^(\w+)(?:\{[^}]*\})? (\S+)$", self.metrics_text(), re.M):
            sums[name] = sums.get(name, 0) + float(value)
        return sums

    def reply_quantile_us(self, quantile):
        """From bytes received to answers handed over, by the server's own histogram; 0 for servers without."""
        buckets = re.findall(r'^orbit_reply_seconds_bucket\{le="([^"]+)"\} (\d+)$', self.metrics_text(), re.M) \
            if self.http_port else []
        wanted, begin = quantile * int(buckets[-1][1]) if buckets else 0, (0.0, 0)
        for end, below in ((float(end), int(below)) for end, below in buckets):
            if below >= wanted > begin[1]:  # as Prometheus reckons: evenly within a bucket
                share = (wanted - begin[1]) / (below - begin[1])
                return (begin[0] + share * (min(end, 1e3) - begin[0])) * 1e6
            begin = end, below
        return 0.0

    def spin_ns(self):
        if not self.http_port:
            return 0
        self.ask("INFO", "server")  # brings the figures of all cores up to date
        return self.metrics().get("orbit_loop_spin_nanoseconds_total", 0)


def redis(options, cpus=None, *more, directory=None):
    """What comes later on its command line wins: `more` may turn the log on."""
    port = free_port()
    command = [options.redis, "--port", str(port), "--save", "", "--appendonly", "no", *more]
    return Server(options, "redis", command, cpus or [options.server_cpu], port, directory=directory)


def orbit(options, cpus=None, *more, persist=False, small_pages=False, directory=None):
    port, http_port = free_port(), free_port()
    cpus = cpus or [options.server_cpu]
    command = [options.orbit, "serve", "--cores", str(len(cpus)), "--resp-port", str(port), "--http-port",
               str(http_port), "--data-dir", "data", "--persist", "yes" if persist else "no", *more]
    return Server(options, "orbit", command, cpus, port, http_port, small_pages, directory)


def echo(options):
    port = free_port()
    return Server(options, "echo", [options.echo, "--mode", "resp", "--port", str(port)], [options.server_cpu], port)


# ---- the generator -----------------------------------------------------------------------

def bench(options, server, cpus=None, **flags):
    """Runs `orbit bench` against a server; returns its report. Flags: pipeline=16 is --pipeline 16."""
    cpus = cpus or [options.client_cpu]
    command = ["taskset", "-c", ",".join(map(str, cpus)), options.bench, "bench", "--json", "--quiet", "--port",
               str(server.port), "--server-pid", str(server.pid)]
    for name, value in flags.items():
        flag = "--" + name.replace("_", "-")
        command += [flag] if value is True else [flag, str(value)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{server.name}: {done.stderr.strip() or done.returncode}")
    return json.loads(done.stdout)


def measure(options, server, cpus=None, **flags):
    """A run of the generator with the server's spinning taken apart. Spin is read around the
    whole run, so it is divided by the replies of the whole run."""
    spin_before = server.spin_ns()
    report = bench(options, server, cpus, **flags)
    spin_us = (server.spin_ns() - spin_before) / 1000 / max(report["replies_with_warmup"], 1)
    report["server_spin_us"] = spin_us
    report["server_work_us"] = max(report["server_cpu_us"] - spin_us, 0)
    if report["errors"]:
        raise SystemExit(f"{server.name}: {report['first_error']}")
    return report


def fill(options, server, keys, **flags):
    report = bench(options, server, load=True, duration=0, keys=keys, **flags)
    if report["fill_errors"] or server.ask("DBSIZE") != keys:
        raise SystemExit(f"{server.name}: {keys} keys were set, DBSIZE says {server.ask('DBSIZE')}; "
                         f"{report.get('first_error', 'no error')}")
    return report


def fresh_page_us(n=32):
    """What this machine takes for a fresh huge page, (median, most). Usually 0.1 to 0.3 ms; ms on a virtual
    machine whose host finds the memory only then. No server that uses huge pages can be better."""
    size, times = 2 << 20, []
    with mmap.mmap(-1, (n + 1) * size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(size // 2, n * size, size):  # the middle: wherever the mapping begins
            before = time.thread_time_ns()
            memory[at] = 1
            times.append((time.thread_time_ns() - before) / 1000)
    return median(times), max(times)


# ---- figures -----------------------------------------------------------------------------

def median(values):
    return statistics.median(values)


def spread(values):
    """From the least to the most, as a share of the median."""
    return (max(values) - min(values)) / median(values) if median(values) else 0


def alternating(things, rounds):
    """A B, B A, A B ...: drift of the machine hits all alike."""
    for number in range(rounds):
        yield number, things if number % 2 == 0 else things[::-1]


def table(head, rows):
    rows = [head] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))))
        if number == 0:
            print("  ".join("-" * w for w in widths))
