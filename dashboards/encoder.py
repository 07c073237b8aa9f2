"""Encoder: where does the time go in this replica?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.board import ENCODER, Section, board
from dashboards.panels import BAD, FAIR, GOOD, Line, graph, listing, number, states
from dashboards.promql import REPLICA, TURNED_AWAY, WORK, gauge, mean, quantile, share, total

READY = {1: ("ready", GOOD), 0: ("not ready", BAD), 2: ("draining", FAIR)}
BUSY_RATIO = f"avg by (stage) (encoder_stage_busy_ratio{{{REPLICA}, {WORK}}})"
HELD = share(gauge("encoder_cpu_slots_held", REPLICA), gauge("encoder_cpu_slots", REPLICA))


def _now() -> Section:
    state = f"{gauge('encoder_ready', REPLICA, how='max')} + 2 * {gauge('encoder_draining', REPLICA, how='max')}"
    pending, limit = gauge("encoder_pending_patches", REPLICA), gauge("encoder_pending_patches_limit", REPLICA)
    turned_away = total("encoder_rejected_items_total", REPLICA, TURNED_AWAY)
    return Section(
        "Now",
        [
            number(
                "State",
                "Ready after warm-up; draining while it finishes its work and takes nothing new. Not ready for long: "
                "its log says what it waits for, mostly for the model.",
                "none",
                Line(state, "state"),
                words=READY,
            ),
            number(
                "Busiest stage",
                "The stage with least worker time to spare. Near 100 % it is the bottleneck; below 50 % there is none, "
                "and slow answers have another cause.",
                "percentunit",
                Line(f"topk(1, {BUSY_RATIO})", "{{stage}}"),
                steps={0.8: FAIR, 0.95: BAD},
                names=True,
            ),
            number(
                "CPU slots held",
                "Share of CPU slots that work holds at this moment. All held, with waiters, means that CPUs are what "
                "is missing, whichever stage is slow.",
                "percentunit",
                Line(HELD, "held"),
                steps={0.9: FAIR},
            ),
            number(
                "Full",
                "Patches taken in and not yet answered, of the limit, as they were read last: a flood may lie between "
                "two readings. At 100 % it says BUSY to everybody, and below to whatever is larger than the rest.",
                "percentunit",
                Line(share(pending, limit), "full"),
                steps={0.8: FAIR, 0.95: BAD},
            ),
            number(
                "Items turned away",
                "Share of items that it did not encode for a cause of its own: full, too slow or broken.",
                "percentunit",
                Line(share(turned_away, total("encoder_items_total", REPLICA)), "turned away"),
                steps={0.01: FAIR, 0.05: BAD},
            ),
            number(
                "Threads over CPUs",
                "Threads that settings made by hand ask for, over CPUs. Over 1 expect throttling: lower the number "
                "that condition ThreadsPlanned names.",
                "percentunit",
                Line(gauge("encoder_cpu_oversubscription_ratio", REPLICA, how="max"), "of the CPUs"),
                steps={1.01: BAD},
            ),
        ],
    )


def _way() -> Section:
    wait, service, seconds = "encoder_stage_wait_seconds", "encoder_stage_service_seconds", "encoder_item_seconds"
    busy = total("encoder_stage_busy_seconds_total", REPLICA, by="stage")
    return Section(
        "An item's way",
        [
            graph(
                "Time of an item",
                "From an item's arrival to its reply, by modality. The panels below say at which stage that time goes.",
                "s",
                Line(quantile(0.5, seconds, REPLICA, by="modality"), "{{modality}} p50"),
                Line(quantile(0.99, seconds, REPLICA, by="modality"), "{{modality}} p99"),
            ),
            graph(
                "How busy each stage is",
                "Share of a stage's worker time in use. The highest is the bottleneck. fetch and inspect have workers "
                "to spare: read their wait instead. A batch that waits for a CPU counts as busy.",
                "percentunit",
                Line(f"{busy} / {gauge('encoder_stage_workers', REPLICA, by='stage')}", "{{stage}}"),
                most=1,
            ),
            graph(
                "Waiting, mean by stage",
                "Time that an item waits for a worker of each stage. Much larger than the work beside it: the stage is "
                "short of workers or CPUs, or the one behind it holds it up.",
                "s",
                Line(mean(wait, REPLICA, by="stage"), "{{stage}}"),
                stacked=True,
            ),
            graph(
                "Work, mean by stage",
                "Time that a worker takes for an item, or for a batch in forward; the wait for CPU slots is in it. A "
                "stage that has become slower shows here: other media, fewer CPUs, a slow host.",
                "s",
                Line(mean(service, REPLICA, by="stage"), "{{stage}}"),
                stacked=True,
            ),
            graph(
                "Waiting, p99 by stage",
                "The slowest of a hundred waits. High at fetch: more downloads than sockets. High at decode or "
                "preprocess: CPUs. High at forward: the device.",
                "s",
                Line(quantile(0.99, wait, REPLICA, by="stage"), "{{stage}}"),
            ),
            graph(
                "Work, p99 by stage",
                "The slowest of a hundred pieces of work. High at fetch is a slow media host; at decode a long video; "
                "at forward_long a clip of many passes.",
                "s",
                Line(quantile(0.99, service, REPLICA, by="stage"), "{{stage}}"),
            ),
            graph(
                "Queue, by stage",
                "Items that wait for a worker. The queue grows in front of the bottleneck, and is empty behind it.",
                "short",
                Line(gauge("encoder_stage_queue_depth", REPLICA, by="stage"), "{{stage}}"),
                stacked=True,
            ),
            graph(
                "Patches through each stage",
                "Patches a second by stage. Fewer behind a stage than before it, for long, means that work piles up "
                "there or fails there.",
                "short",
                Line(total("encoder_stage_patches_total", REPLICA, by="stage"), "{{stage}}"),
            ),
        ],
    )


def _refused() -> Section:
    return Section(
        "Who was refused, and why",
        [
            graph(
                "Refused or dropped, by reason",
                "Items a second without an embedding. busy: admission is full. expired: too late for the caller. "
                "internal: a defect or a lost device, the log has it. The rest is about the callers' media.",
                "ops",
                Line(total("encoder_rejected_items_total", REPLICA, by="reason"), "{{reason}}"),
                stacked=True,
            ),
            graph(
                "Items, by modality and end",
                "Items a second as they ended; OK is an embedding. It says of which kind the refused are.",
                "ops",
                Line(total("encoder_items_total", REPLICA, by="modality, status"), "{{modality}} {{status}}"),
                stacked=True,
            ),
            graph(
                "Taken in, against the limits",
                "Patches and items admitted and not yet answered. At the limit (spec.admission.maxPendingPatches) "
                "callers get BUSY.",
                "short",
                Line(gauge("encoder_pending_patches", REPLICA), "patches"),
                Line(gauge("encoder_pending_patches_limit", REPLICA), "limit of patches"),
                Line(gauge("encoder_pending_items", REPLICA), "items"),
            ),
            graph(
                "Clients",
                "Clients with work here; those a second that left while they had some, and messages that could not be "
                "understood. Many that leave: callers give up, or lose their connection.",
                "short",
                Line(gauge("encoder_clients", REPLICA), "with work here"),
                Line(total("encoder_clients_gone_total", REPLICA), "left, a second"),
                Line(total("encoder_wire_errors_total", REPLICA), "not understood, a second"),
            ),
        ],
    )


def _cpu() -> Section:
    return Section(
        "CPUs and threads",
        [
            graph(
                "Threads against CPUs",
                "Threads as configured, by use, and the CPUs that this encoder plans with. Worker counts are caps; "
                "more than the CPUs at ffmpeg, intra_op or forward is a setting made by hand.",
                "short",
                Line(gauge("encoder_threads", REPLICA, by="use", how="max"), "{{use}}"),
                Line(gauge("encoder_cpu_budget", REPLICA, how="max"), "CPUs"),
            ),
            graph(
                "CPU time",
                "CPUs that the process uses, against its budget. At the budget CPUs limit; far below while stages are "
                "busy, work waits for the device, or others hold the CPUs.",
                "short",
                Line(total("process_cpu_seconds_total", REPLICA), "used"),
                Line(gauge("encoder_cpu_budget", REPLICA), "CPUs"),
            ),
            graph(
                "Throttled",
                "Scheduler periods a second in which the cgroup was throttled, of ten that there are, and seconds that "
                "threads were held. Any for long: threads are more than the CPU limit allows.",
                "short",
                Line(total("encoder_cpu_throttled_periods_total", REPLICA), "periods"),
                Line(total("encoder_cpu_throttled_seconds_total", REPLICA), "seconds"),
            ),
            graph(
                "CPU slots",
                "Slots that decode, preprocessing and forward hold, and steps of work that wait for one. Waiters for "
                "long mean that CPUs are what is missing.",
                "short",
                Line(gauge("encoder_cpu_slots", REPLICA), "slots"),
                Line(gauge("encoder_cpu_slots_held", REPLICA), "held"),
                Line(gauge("encoder_cpu_slots_waiting", REPLICA, by="flow"), "{{flow}} waiting"),
            ),
            graph(
                "Wait for a CPU slot, p99",
                "Time that a step of work waits for its slots, by flow; it is part of the stages' work. Where it is "
                "most of it, give the replica more CPUs, or the pool more replicas.",
                "s",
                Line(quantile(0.99, "encoder_cpu_slot_wait_seconds", REPLICA, by="flow"), "{{flow}}"),
            ),
            graph(
                "Event loop lag, p99",
                "How late the event loop runs a timer. It runs sockets alone, so some milliseconds are normal; a tenth "
                "of a second means that threads leave it no CPU, or a defect.",
                "s",
                Line(quantile(0.99, "encoder_event_loop_lag_seconds", REPLICA), "lag"),
            ),
        ],
    )


def _batches() -> Section:
    batch = "encoder_batch_items"
    return Section(
        "Batches and cache",
        [
            graph(
                "Items in a forward pass",
                "How many items share one. More under load is good; 1 under load means that a stage before it is the "
                "bottleneck.",
                "short",
                Line(mean(batch, REPLICA), "mean"),
                Line(quantile(0.99, batch, REPLICA), "p99"),
            ),
            graph(
                "Patches in a forward pass",
                "Size of a pass. It stays below the batch's limit; large ones make the small ones beside them wait.",
                "short",
                Line(mean("encoder_batch_patches", REPLICA), "mean"),
                Line(quantile(0.99, "encoder_batch_patches", REPLICA), "p99"),
            ),
            graph(
                "Cache",
                "Items a second that were answered from the cache, joined an identical one in flight, or had to be "
                "encoded. No hits where callers repeat media: it is too small, or they reach other replicas.",
                "ops",
                Line(total("encoder_cache_hits_total", REPLICA), "hits"),
                Line(total("encoder_cache_joined_total", REPLICA), "joined"),
                Line(total("encoder_cache_misses_total", REPLICA), "misses"),
                stacked=True,
            ),
            graph(
                "Cache size",
                "Bytes of embeddings kept, against spec.cache.size. Always full with few hits: it turns over too fast "
                "to help.",
                "bytes",
                Line(gauge("encoder_cache_bytes", REPLICA), "kept"),
                Line(gauge("encoder_cache_limit_bytes", REPLICA), "limit"),
            ),
        ],
    )


def _process() -> Section:
    about = f"max by (pod, version, model, device, dtype, fingerprint) (encoder_build_info{{{REPLICA}}})"
    ready, draining = (gauge(f"encoder_{name}", REPLICA, how="max") for name in ("ready", "draining"))
    return Section(
        "Process and wire",
        [
            states(
                "Ready and draining",
                "When it served, and when it finished its work to go. Not ready again and again: it crashes, see the "
                "pool's condition Healthy.",
                Line(f"{ready} + 2 * {draining}", "state"),
                READY,
            ),
            graph(
                "Memory",
                "Resident memory of the process, and media taken in and not yet answered. Towards "
                "spec.resources.memory: lower cache.size, admission.maxPendingBytes or media.maxFrames, or raise the "
                "limit.",
                "bytes",
                Line(gauge("process_resident_memory_bytes", REPLICA), "resident"),
                Line(gauge("encoder_pending_bytes", REPLICA), "media pending"),
            ),
            graph(
                "Bytes in and out",
                "Media received or fetched, and embeddings sent, a second. Near what the network does: that is the "
                "bottleneck.",
                "Bps",
                Line(total("encoder_received_bytes_total", REPLICA, by="modality"), "{{modality}} in"),
                Line(total("encoder_sent_bytes_total", REPLICA), "embeddings out"),
            ),
            graph(
                "SGLang: requests and delivery",
                "Requests of language servers a second by how they ended; time until an embedding has left for its "
                "receivers is told on the Pool dashboard. Empty without language servers.",
                "reqps",
                Line(total("encoder_sglang_requests_total", REPLICA, by="modality, status"), "{{modality}} {{status}}"),
            ),
            listing(
                "What runs here",
                "Version, model and device. The fingerprint must be that of all replicas of the pool.",
                Line(about, ""),
                columns=("pod", "version", "model", "device", "dtype", "fingerprint"),
                height=4,
            ),
        ],
    )


def encoder() -> Dashboard:
    """The dashboard."""
    return board(
        ENCODER,
        "One replica: where an item's time goes, which stage is the bottleneck, who was refused, and what its CPUs do.",
        [_now(), _way(), _refused(), _cpu(), _batches(), _process()],
        shown=("namespace", "pool", "replica"),
        one=("pool", "replica"),
        encoders=True,
    )
