#!/bin/sh
# Measures this machine and its GPU, most important first; each cell is on disk when it ends.
#   ./run.sh --minutes N     fits the plan into N minutes (default 30)
# REQUIRE_BACKENDS=cuda ./run.sh fails where there is no GPU, instead of measuring the processor alone.
set -u
cd "$(dirname "$0")" || exit 2
minutes=30
while [ $# -gt 0 ]; do
    case $1 in
    --minutes) minutes=${2:?--minutes wants a number}; shift 2 ;;
    *) echo "usage: $0 [--minutes N]" >&2; exit 2 ;;
    esac
done
case $minutes in '' | *[!0-9.]*) echo "--minutes wants a number, not \`$minutes\`" >&2; exit 2 ;; esac
if [ ! -d cubins ] && [ -f cubins.tar.gz ] && ! tar -xzf cubins.tar.gz; then
    rm -rf cubins
    echo "cubins.tar.gz cannot be unpacked: the kernels will be compiled here, if NVRTC is there" >&2
fi
: "${CUTGPU_CUBINS:=$PWD/cubins}"
export CUTGPU_CUBINS
out=results/$(date -u +%Y-%m-%d-%H%M%S)
mkdir -p "$out" || exit 2
say() { printf '%s\n' "$*"; printf '%s\n' "$*" >> "$out/steps.txt"; }
status=0
step() {  # name, then a command, whose output goes to a file of that name; a failure is said, and the next step taken
    name=$1; shift
    say "== $name"
    "$@" > "$out/$name.txt"
    code=$?
    [ $code -eq 0 ] || { say "   $name ended with $code"; status=1; }
    return $code
}

step doctor ./cutgpu doctor
cat "$out/doctor.txt"
# What a CPU serves is no GPU.
if grep '^ok  *wgpu/' "$out/doctor.txt" | grep -qv 'a CPU in disguise'; then
    say "wgpu reaches a GPU: tiles first, then answers"
    step tune ./cutgpu tune
    step answers-wgpu ./cutgpu verify gpu --backend wgpu
    tail -n 30 "$out/answers-wgpu.txt"
fi
if grep -q '^ok  *cuda/' "$out/doctor.txt"; then
    say "a GPU is here: answers first, then times"
    step answers ./cutgpu verify gpu --backend 'cuda/*'
    tail -n 30 "$out/answers.txt"
    if grep -q '^ok  *peer/torch-cuda' "$out/doctor.txt"; then
        step answers-torch ./cutgpu verify gpu --backend peer/torch-cuda
        tail -n 10 "$out/answers-torch.txt"
    fi
else
    say "no GPU is usable by CUDA here:"
    grep -A2 'cuda/native' "$out/doctor.txt" | sed 's/^/   /' | tee -a "$out/steps.txt"
    case ",${REQUIRE_BACKENDS:-}," in *,cuda*) say "and REQUIRE_BACKENDS asks for one"; exit 1 ;; esac
    say "the processor is measured alone, so that the run has its other half"
fi
step measure ./cutgpu run gpu quick --minutes "$minutes" --out "$out/run"
if [ -d "$out/run" ]; then
    step report ./cutgpu report "$out/run"
    cat "$out/report.txt"
fi
say "bring back the folder $out; \`cutgpu report $out/run\` draws it anywhere"
exit $status
