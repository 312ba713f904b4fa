/* fake_task.c - a task for tests: speaks the control protocol and does what the property `behave` says.
 *
 *   run      RUNNING until told to stop, then STOPPED
 *   end      RUNNING, then ENDED
 *   deaf     RUNNING, and never stops
 *   exit     exits with code 3 without a word
 *   fence    FAILED, class fenced, stored epoch 9
 *   grow     touches 64 MiB and waits
 *   babble   sends bytes that are no packet
 *   scatter  starts a child in a session of its own, then ends; its pid is in the property `pid.file`
 */
#include "proto/messages.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONTROL_FD = 3, GROWN_BYTES = 64 << 20 };

static Mr__Proto__WorkerToTask *receive(void)
{
    static char packet[MR_PACKET_MAX_BYTES];
    Mr__Proto__WorkerToTask *message = NULL;
    ssize_t size = recv(CONTROL_FD, packet, sizeof packet, 0);
    if (size <= 0) /* the worker is gone */
        _exit(0);
    if (mr_to_task_unpack((mr_slice){packet, (size_t)size}, &message, NULL) != MR_OK)
        _exit(90);
    return message;
}

static void say(const Mr__Proto__Assignment *assignment, Mr__Proto__TaskState state,
                Mr__Proto__TaskError *error)
{
    Mr__Proto__TaskToWorker packet = MR__PROTO__TASK_TO_WORKER__INIT;
    Mr__Proto__TaskStatus status = MR__PROTO__TASK_STATUS__INIT;
    mr_buf packed = {0};
    status.id = assignment->id;
    status.epoch = assignment->epoch;
    status.kind = assignment->kind;
    status.revision = assignment->revision;
    status.state = state;
    status.step = "pretend";
    status.error = error;
    status.stored_epoch = error == NULL ? 0 : 9;
    packet.status = &status;
    if (mr_from_task_pack(&packet, &packed, NULL) != MR_OK ||
        send(CONTROL_FD, packed.data, packed.size, MSG_NOSIGNAL) < 0)
        _exit(91);
    mr_buf_fini(&packed);
}

static void run_until_stopped(Mr__Proto__Assignment *assignment)
{
    for (;;) {
        Mr__Proto__WorkerToTask *message = receive();
        if (message->stop)
            break;
        say(message->assignment, MR__PROTO__TASK_STATE__RUNNING, NULL); /* a new revision */
        mr_to_task_close(&message);
    }
    say(assignment, MR__PROTO__TASK_STATE__STOPPED, NULL);
}

static void never_stop(void)
{
    for (;;) {
        Mr__Proto__WorkerToTask *message = receive();
        mr_to_task_close(&message);
    }
}

static void grow(void)
{
    char *memory = mmap(NULL, GROWN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, GROWN_BYTES);
    never_stop();
}

static void scatter(const Mr__Proto__Assignment *assignment)
{
    int child = fork();
    if (child == 0) {
        setsid();
        close(CONTROL_FD);
        for (;;)
            pause();
    }
    FILE *file = fopen(mr_assignment_property(assignment, "pid.file"), "w");
    if (file != NULL) {
        fprintf(file, "%d\n", child);
        fclose(file);
    }
    say(assignment, MR__PROTO__TASK_STATE__ENDED, NULL);
}

static void fence(const Mr__Proto__Assignment *assignment)
{
    Mr__Proto__TaskError error = MR__PROTO__TASK_ERROR__INIT;
    error.code = "MR_EFENCED";
    error.class_ = "fenced";
    error.text = "epoch 9 owns this";
    say(assignment, MR__PROTO__TASK_STATE__FAILED, &error);
}

static int behave(Mr__Proto__Assignment *assignment)
{
    const char *how = mr_assignment_property(assignment, "behave");
    if (strcmp(how, "exit") == 0)
        return 3;
    say(assignment, MR__PROTO__TASK_STATE__RUNNING, NULL);
    if (strcmp(how, "run") == 0)
        run_until_stopped(assignment);
    else if (strcmp(how, "end") == 0)
        say(assignment, MR__PROTO__TASK_STATE__ENDED, NULL);
    else if (strcmp(how, "deaf") == 0)
        never_stop();
    else if (strcmp(how, "fence") == 0)
        fence(assignment);
    else if (strcmp(how, "grow") == 0)
        grow();
    else if (strcmp(how, "scatter") == 0)
        scatter(assignment);
    else if (strcmp(how, "babble") == 0) {
        (void)!send(CONTROL_FD, "\xff\xff\xff\xff", 4, 0);
        never_stop();
    }
    return 0;
}

int main(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Mr__Proto__WorkerToTask *message = receive();
    if (message->assignment == NULL)
        return 92;
    int code = behave(message->assignment);
    mr_to_task_close(&message);
    return code;
}
