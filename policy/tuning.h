/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every number the policy rests on, in one place, with where it comes from. What an operator should
 * choose stands in the rules instead.
 */
#ifndef PLIMSOLL_POLICY_TUNING_H
#define PLIMSOLL_POLICY_TUNING_H

#include <plimsoll/units.h>

/* ---- forecast ---- */

/* How far ahead deficits are reckoned: a balloon at about 1 GiB/s (limits: rates) can turn 10 GiB
 * in it, and a forecast of a fill rate is seldom good for longer. */
#define HORIZON (10 * NSEC_PER_SEC)
/* Time constants of the two estimators: one that follows a ramp within a second, one that a burst
 * of page cache or a starting process does not move. */
#define RATE_FAST_TAU (500 * NSEC_PER_MSEC)
#define RATE_SLOW_TAU (5 * NSEC_PER_SEC)
/* Of the estimator that tells a sprint: some looks long at the edge, where they are 12 ms apart. By
 * the last two looks alone, guests that filled 10 MiB/s in huge pages seemed to fill 200, and all
 * of them, the valuable one too, were frozen (seen in the lab). */
#define RATE_BURST_TAU (50 * NSEC_PER_MSEC)
/* A fill is confirmed by so many samples in a row. */
#define RATE_CONFIRM_SAMPLES 2
/* Slower fills say nothing about time: 1 MiB/s, or 0.05 % of the pool per second. */
#define FILL_IGNORED MIB
#define FILL_IGNORED_DIVISOR 2000
/* But one that reaches the floor within this time is to be stopped, however slow it is. */
#define FILL_MATTERS_TIME NSEC_PER_MINUTE
/* 16 pages a second, which is nobody's growth. */
#define FILL_LEAST (64 * KIB)
/* A guest that grows slower is not worth a pause, as long as those who grow faster are most of what
 * fills: five hundred slow ones fill a host as well. Slower than the least nobody grows. */
#define GROWTH_MEASURABLE MIB
#define GROWTH_LEAST (16 * KIB)
#define GROWTH_STEP 4
/* A growth rate measured longer ago than this says nothing about now. */
#define GROWTH_STALE (5 * NSEC_PER_SEC)
/* So far ahead a growing guest's free memory is not idle. */
#define GROWTH_AHEAD (30 * NSEC_PER_SEC)
/* Lesser guests leave to a more valuable one what it grows by so far ahead, which is where scarce
 * begins. The longer it is, the more stays unused when growth ends early; with
 * half of it, one that grew 14 MiB/s met the floor at nine tenths of its way (the lab's storm). */
#define RESERVED_AHEAD (60 * NSEC_PER_SEC)
/* And at their own pace, as far ahead as tight looks by itself: with each lesser one that is
 * stopped the fill shrinks, and with it what would be kept by it, while the valuable one is no
 * faster. */
#define RESERVED_ALONE TIGHT_TIME
/* So much faster at most they are taken to grow without the lesser ones: in the lab's storm on two
 * processors, 5 MiB/s in the crowd and 33 alone. */
#define RESERVED_SPEEDUP 8
/* A guest that grew this lately may go on. In the lab a valuable one stood for 13 s, three others
 * were resumed into its room, and it did not get through. */
#define RESERVED_BREATH (30 * NSEC_PER_SEC)

/* What QEMU itself holds beside its guest's memory: code, device models and buffers, page tables; a
 * guest of 384 MiB was seen with 50 MiB. */
#define QEMU_OVERHEAD (64 * MIB)
#define QEMU_OVERHEAD_DIVISOR 32

/* ---- pools ---- */

/* How fast swap fills while nobody has measured it: a slow disk's random writes. */
#define SWAP_RATE_ASSUMED (64 * MIB)
/* The floor, after ESX's minFree: 899 MiB for the first 28 GiB and 1 % of what is above. */
#define FLOOR_BASE_TOTAL (28 * GIB)
#define FLOOR_BASE (899 * MIB)
#define FLOOR_REST_DIVISOR 100
/* Below the high watermark kswapd is busy; twice that keeps us out of its way. */
#define FLOOR_WATERMARKS 2

/* ---- bands: shares of total - floor in 1/10000, and times to exhaustion ---- */

/* Beyond this a pool's memory counts for a third: as ESX's minFree falls, 1 % for what was 3.2 %.
 * There tight begins with 38 GiB left, more than the fastest fill that is usual takes in the time
 * that critical needs. */
#define EVEN_CAPACITY (256 * GIB)
#define EVEN_DIVISOR 3
#define TIGHT_SHARE 1500
#define SCARCE_SHARE 750
#define CRITICAL_SHARE 300
#define TIGHT_TIME (5 * NSEC_PER_MINUTE)
#define SCARCE_TIME (60 * NSEC_PER_SEC)
/* The two seconds a `stop` may take, and two more to see a fill for what it is and to choose. */
#define CRITICAL_TIME (4 * NSEC_PER_SEC)
/* A node's thresholds are so many times lower: the kernel fills a node to its watermark before it
 * turns to the next, so a full node is no emergency as such. */
#define NODE_THRESHOLD_DIVISOR 2
/* A band is left a quarter of its threshold, or 1/64 of the pool, above it … */
#define LEAVE_DIVISOR 4
#define LEAVE_CAPACITY_DIVISOR 64
/* … with half as much time again … */
#define LEAVE_TIME_NUMERATOR 3
#define LEAVE_TIME_DENOMINATOR 2
/* … after so long. */
#define BAND_DWELL (5 * NSEC_PER_SEC)
/* Less time left than this: `stop` drains block I/O and is slowest under pressure (facts 9). */
#define SPRINT_TIME NSEC_PER_SEC

/* ---- balloon ---- */

/* What a balloon moves in a second at best (limits: rates), and how often a guest is asked. */
#define BALLOON_STEP_MAX GIB
#define BALLOON_INTERVAL NSEC_PER_SEC
/* How often the sharing out is worked out: it costs a pass over all guests for each bit of the
 * level, and nobody can be asked sooner anyway. */
#define BALLOON_LOOK (100 * NSEC_PER_MSEC)
/* Not worth asking for less. */
#define BALLOON_STEP_MIN (16 * MIB)
#define BALLOON_STEP_DIVISOR 100
/* A balloon must free a sixteenth of what it denies: of a guest that is spread evenly over
 * eight nodes an eighth is on the one that is short. */
#define BALLOON_WORTH_DIVISOR 16
/* Asked this long ago, and less than a tenth (a twentieth for one that was growing) came back: the
 * guest is stuck. At 10 % of the usual rate a guest still passes. */
#define STUCK_AFTER (10 * NSEC_PER_SEC)
#define STUCK_DIVISOR 10
#define STUCK_GROWING_DIVISOR 20
/* A stuck guest is left alone for a minute, then for twice as long each time. */
#define STUCK_COOLDOWN NSEC_PER_MINUTE
#define STUCK_COOLDOWN_MAX (16 * NSEC_PER_MINUTE)
/* A balloon that stands lower than ours was seen to is somebody else's when it has stood so for
 * this long, some looks: what was asked lately has shown by then, for a call may wait for others,
 * and one figure that is wrong has gone. */
#define OTHER_AFTER (5 * NSEC_PER_SEC)
#define DRIFT_BACKOFF (10 * NSEC_PER_SEC)
#define DRIFT_BACKOFF_MAX (10 * NSEC_PER_MINUTE)
/* Statistics are taken each second from tight; older ones come from calm and prove nothing. */
#define STATISTICS_STALE (10 * NSEC_PER_SEC)
/* What a guest is left of its own idle memory: a twentieth of its maximum, at least 64 MiB, so that
 * its next allocation does not wait for a deflate. */
#define IDLE_RESERVE_DIVISOR 20
#define IDLE_RESERVE (64 * MIB)
/* This part of its page cache is taken for idle; the rest is what it reads again and again. */
#define IDLE_CACHE_DIVISOR 2
/* A guest starves that has this part of that reserve left. */
#define STARVED_DIVISOR 2
/* So many starving guests are given to in one plan, the most valuable first: each costs a pass over
 * all guests. */
#define STARVED_GRANTS 16
/* A guest that was given to because it starved is not asked for what is idle for so long, nor, once
 * it was pressed by shares, given to again without room for all; twice as long each time soon
 * after. One whose need goes up and down by more than the reserve, or takes what it is given so
 * fast that this looks like a storm, would be asked and given to for ever (tests/bench/scenarios:
 * day, 7056 turns in two days without). */
#define FED_HOLD NSEC_PER_MINUTE
#define FED_HOLD_MAX (16 * NSEC_PER_MINUTE)
/* A grant is taken for unspent until the guest has touched it, at most this long. */
#define GRANT_OUTSTANDING HORIZON

/* Nothing more is kept for a guest on its way in that has not grown for so long: its source may
 * never come. */
#define ARRIVAL_PATIENCE NSEC_PER_MINUTE

/* What a guest's balloon is counted on to bring while a start waits for it (limits: rates). */
#define ADMISSION_BALLOON_RATE GIB

/* ---- resize ---- */

/* How often a guest is asked, and what is not worth asking for, as of a balloon. */
#define RESIZE_INTERVAL BALLOON_INTERVAL
#define RESIZE_STEP_MIN BALLOON_STEP_MIN
/* What a guest gives up in a second, for the log alone: a block that is in use is copied elsewhere
 * first. virtio-mem without that was measured at 22 GiB/s (limits: rates). */
#define RESIZE_RATE GIB
/* Of a guest that was asked, nothing has come for so long: Linux's driver tries again only after 50
 * s (VIRTIO_MEM_RETRY_TIMER_MIN_MS, drivers/virtio/virtio_mem.c). */
#define RESIZE_STUCK_AFTER STUCK_AFTER
/* Who could not be asked is not asked again before. */
#define RESIZE_RETRY NSEC_PER_MINUTE
/* A guest whose memory is pinned takes what it is given at once, and for as long as the slow
 * estimator remembers that, the host seems to fill. So it is given a sixteenth of the headroom at
 * most, by which the time to exhaustion stays above scarce's 60 s; a quarter of the room, so that
 * the fill it seems to be asks nobody for anything; and then it is waited. */
#define RESIZE_RETURN_HEADROOM_DIVISOR 16
#define RESIZE_RETURN_ROOM_DIVISOR 4
#define RESIZE_RETURN_INTERVAL (15 * NSEC_PER_SEC)
/* What was given back is not taken for idle again so soon. */
#define RESIZE_HOLD NSEC_PER_MINUTE
/* So many guests are asked in one plan: each costs a pass over all. */
#define RESIZES_MAX 16

/* ---- reclaim ---- */

/* Written to swap at a time: about a second (100 MiB took 0.63 s, facts 9), so that what it brought
 * and what comes back is seen between two. */
#define RECLAIM_PIECE (128 * MIB)
#define RECLAIM_PIECE_MIN (16 * MIB)
/* Not taken from who does not run: QEMU's own main loop goes on. */
#define RECLAIM_LEFT QEMU_OVERHEAD
/* Free swap that is left to the kernel, of all there is; and never what counts as available. */
#define RECLAIM_SWAP_RESERVE_DIVISOR 16
/* A piece has failed of which less than this part shows, or nothing is heard for so long: longer
 * than the one who writes it is waited for (daemon/writer.h). */
#define RECLAIM_SHOWN_DIVISOR 8
#define RECLAIM_PATIENCE (15 * NSEC_PER_SEC)
/* Who has been growing, or was resumed, so lately may well use all it has. */
#define RECLAIM_SETTLE (10 * NSEC_PER_SEC)
/* What of a running guest comes back so soon was in use, if it is this part: it is left alone for a
 * while, which doubles. */
#define RECLAIM_WATCH (5 * NSEC_PER_SEC)
#define RECLAIM_BACK_DIVISOR 4
#define RECLAIM_BACKOFF (10 * NSEC_PER_SEC)
#define RECLAIM_BACKOFF_MAX (10 * NSEC_PER_MINUTE)

/* ---- brake ---- */

/* A guest with BRAKE_QUOTA grows so many times more slowly [measured, facts 10]: of the twentieth
 * that it is left some goes to what else its kernel does. */
#define BRAKE_SLOWDOWN 17
/* A brake holds no longer, but in critical: a vCPU may be throttled while it holds a lock that QEMU
 * or the host's kernel waits for (facts 10), and watchdogs in guests begin to bark at about this. A
 * balloon of 1 GiB/s is through in a fraction of it, one of a busy guest (60 MiB/s) has moved 1.8
 * GiB. */
#define BRAKE_TIME (30 * NSEC_PER_SEC)
/* Where critical would begin a sprint with its release, and it may not be stopped, it goes on: a
 * freeze would hold the same locks, and whole. Four times as long as it should be, no more. */
#define BRAKE_TIME_MOST (2 * NSEC_PER_MINUTE)
/* By then the fast estimator has come down to 0.6 of what it was: 1 / (1 + time / tau). */
#define BRAKE_SHOWS (350 * NSEC_PER_MSEC)
/* Who was braked for all of it is left alone for twice as long: two thirds of the time it runs. */
#define BRAKE_BACKOFF NSEC_PER_MINUTE
/* Balloons that bring less are nothing to wait for. */
#define BRAKE_PENDING_MIN BALLOON_STEP_MIN
/* A release that did not come into force by then is asked again. */
#define BRAKE_RETRY (2 * NSEC_PER_SEC)

/* ---- pause and resume ---- */

/* A monitor that has not greeted in this time will not: QEMU greets in milliseconds. */
#define GREETING_TIME (10 * NSEC_PER_SEC)

/* A guest is worth a pause that makes up so much of the fill, or all growers together half of it.
 */
#define PAUSE_SHARE_DIVISOR 16
/* The longest a `stop` was seen to take: memory.high alone stalls QEMU that long (facts 6). */
#define STOP_TIME (2 * NSEC_PER_SEC)
/* A `stop` is given so long before a freeze may come on top of it; most answer in milliseconds. */
#define STOP_PATIENCE NSEC_PER_SEC
/* After three of their time constants the fast estimators have forgotten what a guest grew by. */
#define PAUSE_SETTLE (1500 * NSEC_PER_MSEC)
/* A pause that did not come into force by then is asked again. */
#define PAUSE_RETRY (2 * NSEC_PER_SEC)
/* Expected length of a pause, for its loss. */
#define PAUSE_EXPECTED_MINUTES 5
/* A freeze may hold a lock that others wait for (facts 10): as short as the sprint allows, and a
 * SIGSTOP, which also stops the monitor, not shorter than QMP needs to catch up. */
#define BRIDGE_CGROUP NSEC_PER_SEC
#define BRIDGE_SIGNAL (3 * NSEC_PER_SEC)
/* A freeze that stands for so long is no bridge any more: a person must know. */
#define BRIDGE_OVERDUE (30 * NSEC_PER_SEC)
/* Room for so much of its growth is asked for first: until the slow estimator shows that it grows
 * again. It halves with each back-off that passes, so that a guest is not stopped for ever by a
 * guess. */
#define RESUME_ROOM_TIME (5 * NSEC_PER_SEC)
#define RESUME_GROWTH_ASSUMED (128 * MIB)
#define RESUME_INTERVAL (5 * NSEC_PER_SEC)
#define RESUME_BACKOFF (10 * NSEC_PER_SEC)
#define RESUME_BACKOFF_MAX (10 * NSEC_PER_MINUTE)
/* A valuable guest that waits for longer is a person's concern. */
#define PAUSE_OVERDUE (5 * NSEC_PER_MINUTE)

/* ---- save and shutdown ---- */

/* What a save writes in a second, at least: a single disk's half, for under pressure others write
 * as well; and what libvirt takes to stop the guest, open the file and have QEMU end. */
#define SAVE_RATE (64 * MIB)
#define SAVE_LATENCY (3 * NSEC_PER_SEC)
/* A longer one is no answer to what is short now. */
#define SAVE_TIME_MAX (10 * NSEC_PER_MINUTE)
/* So many times as long as predicted a save is waited for, while there is time for a kill. */
#define SAVE_PATIENCE 4
/* Services get 90 s each from systemd to stop; most need a few. libvirt's own guests' service gives
 * all of them five minutes at a host's shutdown. */
#define SHUTDOWN_TIME (60 * NSEC_PER_SEC)
/* Taken from so far before the floor, so that there is time for the slower of both with some to
 * spare: forecasts sway, and a shutdown is not begun with less than its time left. */
#define ENDS_AHEAD (SHUTDOWN_TIME + 3 * HORIZON)
/* Who was refused, or did not end in time, is not tried again by the same rung. */
#define ENDS_BACKOFF (5 * NSEC_PER_MINUTE)

/* ---- kill ---- */

/* SIGKILL to exit, 768 MiB: 26 to 108 ms [measured, facts 9]; and the look that comes before. */
#define KILL_LATENCY (100 * NSEC_PER_MSEC)
#define KILL_POLL (10 * NSEC_PER_MSEC)
/* The slowest that was measured for anonymous memory and for a shared memfd (limits: rates). */
#define KILL_RATE (9 * GIB)
#define KILL_RATE_SHARED (4 * GIB)
/* The guard's next look is taken to be no later than this: a host that was suspended is not late.
 */
#define LATE_MOST NSEC_PER_SEC
/* Waited for the freed bytes: twice the prediction and a second for the guard's own scan. */
#define KILL_PATIENCE NSEC_PER_SEC
/* And for so long while there is time for another kill after it: on processors that are short, 512
 * MiB were seen to take 3.6 s to return. */
#define KILL_PATIENCE_MOST (10 * NSEC_PER_SEC)
/* Loss of a kill counts double (design: loss). */
#define KILL_LOSS_FACTOR 2
/* So many die in one look at most: more would be written down and told, one after the other, for
 * longer than a kill takes. */
#define KILLS_AT_ONCE 16
/* Of more guests no runner-up is looked for in a sprint: it can take as long as the choice itself,
 * at worst 15 µs a guest [tests/bench/cover]. */
#define RIVAL_IN_SPRINT 128
/* The same guest (by uuid) is not killed again within an hour: something restarts it. */
#define RESTART_MEMORY (60 * NSEC_PER_MINUTE)
#define ALERT_INTERVAL NSEC_PER_MINUTE

/* A kill for a leak outside the guests must hold for so long, and no second one follows within it:
 * the first did not help. */
#define LEAK_HOLD (10 * NSEC_PER_MINUTE)
/* A leak that takes longer than this to the floor is watched for so long, to tell it from a guest
 * that has begun to grow, which the guard sees up to a second later than the host's fill. */
#define LEAK_CONFIRM (2 * NSEC_PER_SEC)
/* A slower one for this part of that time, so that a command that somebody runs is none. */
#define LEAK_CONFIRM_DIVISOR 8
#define LEAK_CONFIRM_MOST (10 * NSEC_PER_SEC)
/* Everything has waited for memory for this part of so long: a little less than that at which
 * systemd-oomd kills (oomd.conf(5): 60 % for 30 s), for this only tells. */
#define STALL_WINDOW (30 * NSEC_PER_SEC)
#define STALL_DIVISOR 2
#define STALL_AGAIN (10 * NSEC_PER_MINUTE)
/* By bytes it is told from what comes and goes by itself: a quarter of what was left to the floor;
 * at the floor, where no time is left, a little. More than a GiB comes and goes on no host. */
#define LEAK_NOISE_DIVISOR 4
#define LEAK_NOISE_LEAST_DIVISOR 32
#define LEAK_NOISE_MOST GIB
#define LEAK_WINDOW (5 * NSEC_PER_MINUTE)
/* A leak that has reached the wall no longer fills; it is remembered for so long. */
#define LEAK_MEMORY NSEC_PER_MINUTE

/* Guests are looked at so often in scarce, and no more often where it is not as bad: a shorter
 * interval would show their growth as that of somebody else. */
#define CULPRIT_INTERVAL (250 * NSEC_PER_MSEC)
/* Slower growth names nobody, as in the scan: any busy process moves that much for a while. */
#define CULPRIT_GROWTH_MIN ((int64_t)MIB)

/* ---- the kernel's order ---- */

#define OOM_SCORE_INTERVAL (5 * NSEC_PER_SEC)
/* But as soon as this for one that has come in, and was the first victim as long as it came. */
#define OOM_SCORE_SOON NSEC_PER_SEC
#define OOM_SCORE_STEP 10
/* −1000 would exempt the guest and leave the kernel with nobody. */
#define OOM_SCORE_NEVER (-999)
/* Below 1000, which is what others give to what is to die before anything else: systemd's
 * OOMPolicy, and best-effort containers. */
#define OOM_SCORE_MAX 900
/* Scores, in thousandths of all memory: victims spread over so many above 0, the first of them at
 * least so high, valuable guests over so many below 0, always below a process of adj 0. */
#define OOM_VICTIM_SPAN 900
#define OOM_FIRST_LEAST 500
#define OOM_VALUABLE_SPAN 500

/* ---- locked and pinned memory ---- */

/* Limits and pins are read every ten seconds in calm; looking more often shows nothing. */
#define MEMLOCK_INTERVAL (5 * NSEC_PER_SEC)
/* Lines of one look; the guests behind them come at the next. */
#define MEMLOCK_ACTIONS 16
/* Before it plugs a device or a DIMM, libvirt raises the limit, and says so when it is done: longer
 * than any job of its own waits for QEMU (30 s, facts 3). Until then its formula seems too low. */
#define MEMLOCK_SETTLE NSEC_PER_MINUTE
/* A guest that starts pins its memory. What it has so long after is what it grows from … */
#define PINNED_BEGIN NSEC_PER_MINUTE
/* … by so much, or a sixteenth; a DIMM is larger, and QEMU's own buffers are not. */
#define PINNED_GROWTH_MIN (256 * MIB)
#define PINNED_GROWTH_DIVISOR 16
/* Of the host or of a node. What is left must do for the host, its page cache and all other guests'
 * peaks. */
#define PINNED_LIMIT_SHARE 8000
/* Told anew only after it was so much of the limit below it. */
#define PINNED_LEAVE_DIVISOR 16

/* ---- limits of cgroups ---- */

/* How often guests are looked at for limits that are missing, or no longer wanted. */
#define CONTAIN_INTERVAL NSEC_PER_SEC
/* Lines of one look; the guests behind them come at the next. */
#define CONTAIN_ACTIONS 16
/* A limit that was not set, or not put back, is not tried again before. */
#define CONTAIN_RETRY NSEC_PER_MINUTE
/* A write that nobody answers for: longer than who writes is waited for (daemon/writer.h). */
#define CONTAIN_PATIENCE (15 * NSEC_PER_SEC)
/* The kernel keeps limits in whole pages, of 64 KiB at most where KVM runs. */
#define CONTAIN_UNIT (64 * KIB)
/* From there on it shows "max" (PAGE_COUNTER_MAX, include/linux/page_counter.h, is more). */
#define CONTAIN_BYTES_MAX (UINT64_C(1) << 62)
/* A memory.max leaves so much above the use, or a sixteenth of it: what a guest takes in a second
 * must not make of a limit a kill. */
#define CONTAIN_ROOM (64 * MIB)
#define CONTAIN_ROOM_DIVISOR 16
/* QEMU aborts where it cannot start a thread, and its pool of workers has so many at most
 * (THREAD_POOL_MAX_THREADS_DEFAULT, include/block/thread-pool.h). */
#define CONTAIN_TASKS_ROOM 64
/* Less than a millisecond the kernel refuses (min_cfs_quota_period, kernel/sched/core.c). */
#define CONTAIN_QUOTA_MIN NSEC_PER_MSEC
/* A limit for a shortage follows what the guest gives back in such steps. */
#define CONTAIN_STEP (16 * MIB)

/* ---- waking ---- */

/* The least A_max that is believed, and what is taken where it was not measured: two threads on 2
 * MiB pages filled 9.1 GiB/s, one 8.5, elsewhere less (limits). */
#define FILL_RATE_USUAL (8 * GIB)
/* From a look in which the fastest fill begins until nobody grows any more (limits, inequality 1):
 * the next look (WAKE_MIN), deciding and acting (WAKE_OVERHEAD), and some milliseconds more in
 * which a freeze reaches every thread. */
#define RACE_TIME (10 * NSEC_PER_MSEC)
/* Wake overshoot, read, decide and act. */
#define WAKE_OVERHEAD (2 * NSEC_PER_MSEC)
#define WAKE_MIN NSEC_PER_MSEC
#define WAKE_MAX NSEC_PER_SEC
/* At the floor, with nothing that fills and nothing on its way, looking faster shows nothing new.
 */
#define WAKE_STILL (50 * NSEC_PER_MSEC)
/* A guest thawed for a `stop` runs until the next look. */
#define WAKE_BRIDGE (10 * NSEC_PER_MSEC)

#endif
