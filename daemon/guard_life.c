/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's beginning and its reload; its end is in guard_leave.c. At the beginning everything is
 * allocated, opened and rehearsed in this order: what the kernel may refuse first, then the ledger
 * (whose lock makes us the guard), then what an earlier guard left in force, then the socket by
 * which people see us.
 */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act.h"
#include "announce.h"
#include "calibrate.h"
#include "guard_private.h"
#include "isolate.h"
#include "log.h"
#include "rehearse.h"
#include "status.h"

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>

/* Without a watchdog the status line is still kept fresh this often. */
#define NOTIFY_INTERVAL (10 * NSEC_PER_SEC)
/* Room for "/run/…/io.plimsoll": a socket address holds 108 bytes. */
#define PATH_SIZE 256

/* ---- rules ---- */

void guard_take_rules(struct guard *guard)
{
    uint64_t kills_from = guard->rules->host.kills_from;

    guard->rules->host = *config_host_rules(guard->config);
    guard->rules->host.kills_from = kills_from;
    if (guard->options.dry_run)
        guard->rules->host.mode = MODE_DRY_RUN;
    guard_resolve_hold(guard);
    guard_resolve_admission(guard);
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = guard->inventory ? inventory_vm(guard->inventory, slot) : NULL;

        if (vm)
            guard_resolve_rules(guard, vm);
        else
            vm_rules_default(&guard->rules->vms[slot]);
    }
}

static void mistake_log(const char *line, void *userdata)
{
    unsigned *count = userdata;

    (*count)++;
    log_message(LOG_ERR, "%s", line);
}

int guard_reload(struct guard *guard, struct error *ret_error)
{
    struct config *config = NULL;
    unsigned mistakes = 0;
    int result = config_load(guard->options.config_path, mistake_log, &mistakes, &config);

    if (result < 0)
        return error_set(ret_error, result,
            "%s has %u mistakes; the configuration before it stays in force. See: plimsoll "
            "check-config %s",
            guard->options.config_path, mistakes, guard->options.config_path);
    if (config_guard(config)->max_vms != guard->vm_capacity)
        log_message(LOG_WARNING,
            "max-vms=%u takes effect at the next start of plimsolld; %u until then",
            config_guard(config)->max_vms, guard->vm_capacity);
    result = inventory_set_qmp_directory(guard->inventory, config_guard(config)->qmp_directory);
    if (result < 0) {
        config_free(config);
        return error_set(ret_error, result, "no memory to reload");
    }
    config_free(guard->config);
    guard->config = config;
    if (guard->virt)
        virt_link_set(guard->virt, config_guard(config)->libvirt);
    guard_resolve_record(guard);
    guard_take_rules(guard);
    guard->next_tick = 0;
    return 0;
}

/* ---- what the inventory tells ---- */

static void on_appeared(struct vm *vm, void *userdata)
{
    struct guard *guard = userdata;

    guard_undo_appeared(guard, vm);
    guard_resolve_rules(guard, vm);
    announce_vm(LOG_INFO, "vm-appeared", vm);
    guard->next_tick = 0;
}

static bool on_may_touch(void *userdata)
{
    const struct guard *guard = userdata;

    /* In a hold guests are asked for their statistics as ever: it watches. */
    return guard->rules->host.mode == MODE_ENFORCE || guard->rules->host.held;
}

static void on_renamed(struct vm *vm, void *userdata)
{
    guard_resolve_rules(userdata, vm);
}

static void on_ended(struct vm *vm, void *userdata)
{
    struct guard *guard = userdata;

    guard_kernel_ended(guard, vm);
    guard_admission_ended(guard, vm);
    guard_undo_ended(guard, vm);
    guard->next_tick = 0; /* what it held is free now: the next step may be waiting for it */
}

static void on_pause_moved(struct vm *vm, void *userdata)
{
    (void)userdata;
    act_pause_advance(vm, loop_now());
}

/* ---- signals and the PSI trigger ---- */

static void on_signal(struct loop_source *source, uint32_t events)
{
    struct guard *guard = container_of(source, struct guard, signals);
    struct signalfd_siginfo info;

    (void)events;
    while (read(source->fd, &info, sizeof info) == sizeof info) {
        switch (info.ssi_signo) {
        case SIGHUP:
            guard->reload = true;
            break;
        case SIGCHLD:
            if (waitpid(log_child(), NULL, WNOHANG) > 0 && log_start() > 0)
                log_message(LOG_WARNING, "the process that writes the log ended and was replaced");
            break;
        default:
            guard->leaving = true;
        }
    }
}

static void on_psi(struct loop_source *source, uint32_t events)
{
    struct guard *guard = container_of(source, struct guard, psi);

    if (events & (EPOLLERR | EPOLLHUP))
        loop_remove(guard->loop, source); /* the fd stays the sampler's */
    guard->next_tick = 0;
}

static int signals_open(struct guard *guard)
{
    sigset_t set;
    int fd, result;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    (void)signal(SIGPIPE, SIG_IGN);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    result = loop_add(guard->loop, &guard->signals, fd, EPOLLIN, on_signal);
    if (result < 0)
        close(fd);
    return result;
}

/* ---- the beginning ---- */

static int buffers_allocate(struct guard *guard)
{
    uint32_t capacity = guard->vm_capacity;

    guard->snapshot = calloc(1, snapshot_size(capacity));
    guard->rules = calloc(1, rules_size(capacity));
    guard->plan = calloc(1, plan_size(capacity));
    guard->state_buffer = calloc(1, policy_state_size(capacity));
    guard->scratch_buffer = calloc(1, policy_scratch_size(capacity));
    guard->unmatched = calloc(capacity, sizeof *guard->unmatched);
    guard->hold_left = calloc(capacity, sizeof *guard->hold_left);
    guard->victim_order = calloc(capacity, sizeof *guard->victim_order);
    if (!guard->snapshot || !guard->rules || !guard->plan || !guard->state_buffer ||
        !guard->scratch_buffer || !guard->unmatched || !guard->hold_left || !guard->victim_order)
        return -ENOMEM;
    guard->snapshot->vm_capacity = capacity;
    guard->rules->vm_capacity = capacity;
    guard->plan->action_capacity = plan_action_capacity(capacity);
    guard->state = policy_state_init(guard->state_buffer, capacity);
    guard->scratch = policy_scratch_init(guard->scratch_buffer, capacity);
    return 0;
}

static int ledger_take(struct guard *guard, struct error *ret_error)
{
    char path[PATH_SIZE], *boot_id = guard->boot_id;
    const char *directory = guard->options.runtime_directory;
    struct error said = {0};
    int fd, result;

    /* tmpfiles.d makes it for the service; by hand it may be missing. */
    if (mkdir(directory, 0750) < 0 && errno != EEXIST)
        return error_set(ret_error, -errno, "cannot make %s: %s", directory, strerror(errno));
    fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, boot_id, sizeof guard->boot_id - 1) <= 0) {
        result = error_set(
            ret_error, errno ? -errno : -EIO, "cannot read the boot id: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return result;
    }
    close(fd);
    boot_id[strcspn(boot_id, "\n")] = '\0';
    (void)snprintf(path, sizeof path, "%s/%s", directory, LEDGER_NAME);
    result = ledger_open(path, boot_id, guard->vm_capacity, &guard->ledger, &said);
    if (result < 0)
        return error_set(ret_error, result, "%s", said.text);
    if (said.text[0] != '\0')
        log_message(LOG_WARNING, "%s", said.text);
    return 0;
}

/* A process that is stopped answers nobody, so its monitor could never be asked to stop it
 * properly. Where there is one, the bridge ends here; what the guest then does is seen in the first
 * tick. */
static void bridges_end(struct guard *guard)
{
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm && vm_has(vm, VM_MEASURE_FROZEN_SIGNAL) && vm->monitor_before[0] != '\0')
            (void)act_thaw(vm, MODE_ENFORCE);
    }
}

static void measures_take_over(struct guard *guard)
{
    uint32_t adopted = inventory_adopt(guard->inventory);
    const struct ledger_destruction *past;

    for (uint32_t i = 0; (past = ledger_history(guard->ledger, i)); i++) {
        struct vm_identity identity = past->identity;

        if (past->reason == REASON_KILL_INCOMING) /* nothing was lost */
            continue;
        if (past->kind == ACTION_SAVE) /* who is started again after it may be taken again */
            memset(identity.uuid, 0, UUID_SIZE);
        policy_state_seed(guard->state, past->time, &identity);
    }
    if (adopted == 0)
        return;
    log_message(LOG_NOTICE, "%u guests have measures of an earlier guard in force; taken over%s",
        adopted,
        guard->rules->host.mode == MODE_DRY_RUN ? ". In dry run, or in a hold, nothing is added to "
                                                  "them; they are given back as room allows"
                                                : "");
    bridges_end(guard);
}

static int inventory_open(struct guard *guard)
{
    struct inventory_owner owner = {.may_touch = on_may_touch,
        .appeared = on_appeared,
        .renamed = on_renamed,
        .ended = on_ended,
        .pause_moved = on_pause_moved,
        .userdata = guard};

    return inventory_new(guard->loop, &guard->roots, guard->ledger, guard->vm_capacity,
        config_guard(guard->config)->qmp_directory, &owner, &guard->inventory);
}

static int guard_open(struct guard *guard, struct error *ret_error)
{
    unsigned mistakes = 0;
    int result = config_load(guard->options.config_path, mistake_log, &mistakes, &guard->config);

    if (result < 0)
        return error_set(ret_error, result, "%s cannot be used; mend it and start again",
            guard->options.config_path);
    guard->vm_capacity = config_guard(guard->config)->max_vms;
    result = buffers_allocate(guard);
    if (result < 0)
        return error_set(ret_error, result, "no memory for max-vms=%u", guard->vm_capacity);
    guard->snapshot->host.scores_raise_only = !isolate_process(guard->vm_capacity);
    result = ledger_take(guard, ret_error);
    if (result < 0)
        return result;
    guard_take_hold(guard);
    guard_take_rules(guard);
    result = rehearse(ret_error);
    if (result < 0)
        return result;
    result = loop_new(&guard->loop);
    if (result == 0)
        result = signals_open(guard);
    if (result == 0)
        result = notify_new(&guard->notify);
    if (result == 0)
        result = guard_open_writers(guard);
    if (result < 0)
        return error_set(ret_error, result, "cannot set up the event loop and its helpers: %s",
            strerror(-result));
    guard_resolve_record(guard);
    guard_kernel_open(guard);
    result = host_sampler_new(&guard->roots, &guard->host_sampler, ret_error);
    if (result < 0)
        return result;
    struct host_snapshot *host = &guard->snapshot->host;
    host_sampler_read(guard->host_sampler, SAMPLE_FULL, loop_now(), host);
    host->fill_rate_most = calibrate_fill_rate(host->available);
    result = tmpfs_sampler_new(&guard->roots, &guard->tmpfs_sampler);
    if (result == 0)
        result = inventory_open(guard);
    if (result == 0)
        result = guard_open_virt(guard);
    if (result < 0)
        return error_set(ret_error, result, "cannot look for guests: %s", strerror(-result));
    return guard_open_control(guard, ret_error);
}

static void psi_watch(struct guard *guard)
{
    int fd = host_sampler_psi_fd(guard->host_sampler);

    if (fd >= 0 && loop_add(guard->loop, &guard->psi, fd, EPOLLPRI, on_psi) < 0)
        log_message(LOG_NOTICE, "the PSI trigger cannot be watched; polling alone has to do");
}

int guard_new(
    const struct guard_options *options, struct guard **ret_guard, struct error *ret_error)
{
    struct guard *guard = calloc(1, sizeof *guard);
    uint64_t interval;
    int result;

    if (!guard)
        return error_set(ret_error, -ENOMEM, "no memory");
    guard->options = *options;
    guard->roots = options->roots.proc
                       ? options->roots
                       : (struct roots){.proc = "/proc", .sys = "/sys", .dev = "/dev"};
    guard->signals = LOOP_SOURCE_NONE;
    guard->psi = LOOP_SOURCE_NONE;
    log_set_echo(options->foreground);
    result = history_new(&guard->history);
    if (result < 0) {
        guard_free(guard);
        return error_set(ret_error, result, "no memory for what was said");
    }
    log_set_history(guard->history);
    counts_begin(&guard->counts, guard_realtime());
    log_set_counts(&guard->counts);
    result = log_start();
    if (result < 0) {
        result = error_set(ret_error, result, "cannot fork the process that writes the log: %s",
            strerror(-result));
        guard_free(guard);
        return result;
    }
    result = guard_open(guard, ret_error);
    if (result < 0) {
        guard_free(guard);
        return result;
    }
    guard->notify_interval =
        notify_watchdog_interval(&interval) > 0 ? interval / 2 : NOTIFY_INTERVAL;
    psi_watch(guard);
    measures_take_over(guard);
    inventory_scan_all(guard->inventory);
    guard_prepare_record(guard);
    guard_begin_virt(guard);
    isolate_memory();
    log_alert(LOG_NOTICE, "event=start version=%s mode=%s max_vms=%u", PLIMSOLL_VERSION,
        status_mode(guard->rules, NULL), guard->vm_capacity);
    *ret_guard = guard;
    return 0;
}

/* ---- the end ---- */

struct guard *guard_free(struct guard *guard)
{
    if (!guard)
        return NULL;
    control_server_free(guard->control);
    guard_kernel_close(guard);
    guard_close_writers(guard);
    recorder_free(guard->recorder);
    guard->inventory =
        inventory_free(guard->inventory); /* its guests may have calls to libvirt outstanding */
    virt_link_free(guard->virt);
    if (guard->loop) {
        int signals_fd = guard->signals.fd;

        loop_remove(guard->loop, &guard->psi);
        loop_remove(guard->loop, &guard->signals);
        if (signals_fd >= 0)
            close(signals_fd);
    }
    host_sampler_free(guard->host_sampler);
    tmpfs_sampler_free(guard->tmpfs_sampler);
    notify_free(guard->notify);
    ledger_free(guard->ledger);
    loop_free(guard->loop);
    config_free(guard->config);
    free(guard->unmatched);
    free(guard->hold_left);
    free(guard->victim_order);
    free(guard->plan);
    free(guard->scratch_buffer);
    free(guard->state_buffer);
    free(guard->rules);
    free(guard->snapshot);
    log_stop();
    log_set_history(NULL);
    log_set_counts(NULL);
    history_free(guard->history);
    free(guard);
    return NULL;
}
