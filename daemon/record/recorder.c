/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the shared memory, the helper's process and our end of its socket.
 *
 * Frames are put one behind the other; where the helper has written all that it was told of, the
 * next one goes to the beginning again. So usually one frame's memory is in use, of the guests that
 * there are; while a disk hangs, what fits is queued. A request says where a frame lies, an answer
 * that it is written: neither side touches what is the other's. The answers are read when the next
 * frame comes, so that the loop is not woken for them. Pages are taken below scarce alone, and no
 * frame goes where there is none yet: a look at a host that runs out must not wait for one.
 */
#include "recorder.h"

#include "helper.h"
#include "log.h"
#include "loop.h"
#include "record_folder.h"
#include "record_frame.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Room for so many frames of a host with as many guests as there may be, and as much to do. */
#define FRAMES_FULL 2
/* Pages for so many guests more than there are, who may come when no page can be taken. */
#define GUESTS_AHEAD 16
/* A stretch begins with all that the policy remembers. Where the writer is behind, one after each
 * gap would be what it is behind with. */
#define STRETCH_INTERVAL NSEC_PER_SEC
/* Without memory for a fork now, there may be in a second. */
#define FORK_RETRY NSEC_PER_SEC

struct request {
    uint64_t offset;
};

struct answer {
    int32_t result;
    uint32_t stretch; /* the next frame should begin one */
};

struct recorder {
    char *directory; /* NULL: nothing is recorded */
    uint64_t limit;
    uint32_t vm_capacity;
    char *memory; /* shared with the helper */
    size_t size, used;
    size_t ready, wanted;       /* from its beginning so much has its pages, and so much should */
    pid_t pid;                  /* 0: none */
    int fd;                     /* -1: no longer asked */
    uint64_t asked, answered;   /* frames */
    struct record_frame *frame; /* begun and not ended; NULL: none is */
    bool stretch;               /* the next frame begins one */
    uint64_t next_stretch, next_fork;
    struct log_limit gap_said, failure_said;
};

/* ---- the helper ---- */

static void __attribute__((noreturn)) helper_run(const struct recorder *recorder)
{
    struct record_folder *folder = NULL;
    int result =
        record_folder_new(recorder->directory, recorder->limit, recorder->vm_capacity, &folder);

    while (result == 0) {
        struct request request;
        ssize_t length = recv(HELPER_FD, &request, sizeof(request), 0);
        /* A guard that dies with an answer unread resets the connection: what it sent is there. */
        if (length < 0 && (errno == EINTR || errno == ECONNRESET))
            continue;
        if (length != sizeof(request))
            break;
        bool stretch = false;
        const void *frame = recorder->memory + request.offset;
        struct answer answer = {.result = record_folder_write(folder, frame, &stretch)};
        answer.stretch = stretch;
        /* Without a guard there is nobody to tell; what is queued is still written. */
        (void)send(HELPER_FD, &answer, sizeof(answer), MSG_NOSIGNAL);
    }
    record_folder_free(folder);
    _exit(result == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- the guard's side ---- */

static void helper_leave(struct recorder *recorder)
{
    if (recorder->fd >= 0)
        (void)close(recorder->fd);
    recorder->fd = -1;
}

static int helper_start(struct recorder *recorder)
{
    int fd = -1;
    pid_t pid = helper_fork("plimsoll-record", &fd);

    if (pid == 0)
        helper_run(recorder);
    if (pid < 0)
        return pid;
    recorder->pid = pid;
    recorder->fd = fd;
    recorder->asked = recorder->answered = 0;
    recorder->stretch = true;
    return 0;
}

int recorder_new(const struct recorder_options *options, struct recorder **ret_recorder)
{
    struct recorder *recorder = calloc(1, sizeof(*recorder));

    if (!recorder)
        return -ENOMEM;
    *recorder =
        (struct recorder){.directory = options->directory ? strdup(options->directory) : NULL,
            .limit = options->limit,
            .vm_capacity = options->vm_capacity,
            .size = FRAMES_FULL * record_frame_size_max(options->vm_capacity),
            .fd = -1};
    recorder->memory =
        mmap(NULL, recorder->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int result = 0;
    if ((options->directory && !recorder->directory) || recorder->memory == MAP_FAILED)
        result = -ENOMEM;
    else if (options->directory)
        (void)helper_start(recorder); /* else recorder_advance() tries again */
    if (result < 0) {
        recorder_free(recorder);
        return result;
    }
    *ret_recorder = recorder;
    return 0;
}

int recorder_set(struct recorder *recorder, const char *directory, uint64_t limit)
{
    bool same = recorder->directory && directory ? strcmp(recorder->directory, directory) == 0
                                                 : recorder->directory == directory;
    char *copy = directory ? strdup(directory) : NULL;

    if (directory && !copy)
        return -ENOMEM;
    if (!same || recorder->limit != limit)
        helper_leave(recorder);
    free(recorder->directory);
    recorder->directory = copy;
    recorder->limit = limit;
    return 0;
}

struct recorder *recorder_free(struct recorder *recorder)
{
    if (!recorder)
        return NULL;
    helper_leave(recorder);
    if (recorder->pid > 0)
        (void)waitpid(recorder->pid, NULL, WNOHANG); /* or init does */
    if (recorder->memory != MAP_FAILED)
        (void)munmap(recorder->memory, recorder->size);
    free(recorder->directory);
    free(recorder);
    return NULL;
}

static void answer_take(struct recorder *recorder, const struct answer *answer)
{
    recorder->answered++;
    recorder->stretch |= answer->stretch != 0;
    if (answer->result < 0)
        log_limited(&recorder->failure_said, loop_now(), LOG_WARNING,
            "the record in %s cannot be written: %s; tried again in a minute", recorder->directory,
            strerror(-answer->result));
}

static void answers_take(struct recorder *recorder)
{
    while (recorder->fd >= 0) {
        struct answer answer;
        ssize_t length = recv(recorder->fd, &answer, sizeof(answer), MSG_DONTWAIT);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (length != sizeof(answer) || recorder->answered == recorder->asked) {
            log_limited(&recorder->failure_said, loop_now(), LOG_WARNING,
                "the process that writes the record (pid %d) has ended", (int)recorder->pid);
            helper_leave(recorder);
            return;
        }
        answer_take(recorder, &answer);
    }
}

static void memory_expect(struct recorder *recorder, uint32_t vm_count)
{
    size_t soon = record_frame_size_max(vm_count + GUESTS_AHEAD);

    recorder->wanted = max_u64(recorder->wanted, FRAMES_FULL * soon);
}

static void memory_take(struct recorder *recorder)
{
    size_t wanted = recorder->wanted < recorder->size ? recorder->wanted : recorder->size;

    if (wanted <= recorder->ready)
        return;
    memset(recorder->memory + recorder->ready, 0, wanted - recorder->ready);
    recorder->ready = wanted;
}

/* This call is not recorded, so the next cannot go on from it. */
static void frame_lose(struct recorder *recorder)
{
    recorder->stretch = true;
    recorder->frame = NULL;
    bool behind = recorder->fd >= 0 && recorder->answered != recorder->asked;
    if (behind)
        log_limited(&recorder->gap_said, loop_now(), LOG_NOTICE,
            "the record in %s has a gap: what writes it is behind. Is the disk well?",
            recorder->directory);
}

void recorder_begin(struct recorder *recorder, const struct snapshot *snapshot,
    const struct rules *rules, const struct policy_state *state)
{
    if (!recorder)
        return;
    recorder->frame = NULL;
    memory_expect(recorder, snapshot->vm_count);
    answers_take(recorder);
    if (recorder->fd < 0)
        return;
    if (recorder->answered == recorder->asked)
        recorder->used = 0;
    size_t most = record_frame_size_max(snapshot->vm_count);
    bool written = recorder->answered == recorder->asked;
    bool early = recorder->stretch && (!written || snapshot->time < recorder->next_stretch);
    if (early || recorder->ready < recorder->used + most)
        frame_lose(recorder);
    else
        recorder->frame = record_frame_begin(
            recorder->memory + recorder->used, snapshot, rules, recorder->stretch ? state : NULL);
}

void recorder_end(struct recorder *recorder, const struct plan *plan)
{
    if (!recorder || !recorder->frame)
        return;
    const struct request request = {.offset = recorder->used};
    size_t taken = record_frame_size(recorder->frame) + fields_plan.size +
                   plan->action_count * fields_action.size;
    if (taken > recorder->ready - recorder->used) {
        frame_lose(recorder);
        return;
    }
    record_frame_end(recorder->frame, plan);
    if (send(recorder->fd, &request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        frame_lose(recorder);
        return;
    }
    recorder->used += taken;
    recorder->asked++;
    if (recorder->stretch)
        recorder->next_stretch = add_held(plan->time, STRETCH_INTERVAL);
    recorder->stretch = false;
    recorder->frame = NULL;
}

void recorder_prepare(struct recorder *recorder, uint32_t vm_count)
{
    if (!recorder)
        return;
    memory_expect(recorder, vm_count);
    memory_take(recorder);
}

void recorder_advance(struct recorder *recorder, enum band band, uint64_t now)
{
    if (!recorder)
        return;
    if (band < BAND_SCARCE)
        memory_take(recorder);
    if (recorder->fd >= 0)
        return;
    if (recorder->pid > 0 && waitpid(recorder->pid, NULL, WNOHANG) == 0)
        return; /* it may hang in a write */
    recorder->pid = 0;
    if (!recorder->directory || band >= BAND_SCARCE || now < recorder->next_fork)
        return;
    recorder->next_fork = now + FORK_RETRY;
    int result = helper_start(recorder);
    if (result < 0)
        log_limited(&recorder->failure_said, now, LOG_WARNING,
            "the process that writes the record cannot be forked: %s", strerror(-result));
}

pid_t recorder_helper(const struct recorder *recorder)
{
    return recorder->fd >= 0 ? recorder->pid : 0;
}
