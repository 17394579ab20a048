#!/bin/bash
# One search on several nodes of a Slurm cluster. See README.md beside this file.
#   sbatch cluster/slurm.sh --dataset digits --candidates 2000 --out /shared/runs/first
# What stands behind the script's name are the options of `gtn-nas search`. gtn-nas must be on the PATH
# of every node, and --out on a disk that they share or in a bucket.
#
#SBATCH --job-name=gtn-nas
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the time is up, the search is asked to end; it is then queued again and goes on.
#SBATCH --signal=B:TERM@120
# For GPUs, also: #SBATCH --gpus-per-node=1, and --gpus-per-worker 0.25 among the search's options.

set -euo pipefail

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
# Other users' jobs may run on the same nodes: ports and folders of this job alone.
port=$((20000 + SLURM_JOB_ID % 10000))
address=$head:$port
each=(--nodes=1 --ntasks=1 --cpus-per-task="$SLURM_CPUS_PER_TASK")
ray_start=(ray start --block --disable-usage-stats --num-cpus="$SLURM_CPUS_PER_TASK")

# The token travels with the environment, which only this user can read.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(python3 -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN

srun "${each[@]}" --nodelist="$head" "${ray_start[@]}" --head --port="$port" \
    --ray-client-server-port=$((port + 10000)) --include-dashboard=false \
    --temp-dir="/tmp/gtn-nas-$SLURM_JOB_ID" &
started=($!)
for _ in $(seq 60); do
    if ray health-check --address "$address" 2>/dev/null; then break; fi
    sleep 2
done
for node in "${nodes[@]:1}"; do
    srun "${each[@]}" --nodelist="$node" "${ray_start[@]}" --address="$address" &
    started+=($!)
done

RAY_ADDRESS=$address gtn-nas search --resume-or-start "$@" &
search=$!
asked=no
trap 'asked=yes; kill -TERM "$search" || true' TERM
code=0
wait "$search" || code=$?
if [ "$asked" = yes ]; then
    # The signal ended the first wait, not the search.
    code=0
    wait "$search" || code=$?
    if [ "$code" -eq 143 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
fi
trap - TERM
kill "${started[@]}" 2>/dev/null || true
wait "${started[@]}" 2>/dev/null || true
exit "$code"
