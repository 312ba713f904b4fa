#include "worker/conversation.h"

#include "core/fault.h"
#include "core/holder.h"
#include "core/log.h"
#include "worker/host.h"
#include "worker/report.h"
#include "worker/rpc.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    REPORT_MS = 1000,
    PROGRESS_MS = 100, /* from progress to the report that tells it */
    MISSED_MS = 3000,
    REDIAL_MS = 5000, /* after the first time; doubles while nobody answers */
    REDIAL_MAX_MS = 3600 * 1000,
    REPORT_TIMEOUT_MS = 10 * 1000,
    WATCH_TIMEOUT_MS = 15 * 1000, /* the coordinator answers within 5 s */
};

struct conversation {
    uv_timer_t timer; /* of the next report */
    uv_loop_t *loop;
    const worker_config *config;
    task_children *children;
    rpc *rpc;
    char incarnation[HOST_ID_BYTES];
    char boot_id[HOST_ID_BYTES];
    char staging_id[HOST_ID_BYTES]; /* empty until the coordinator has made it */
    uint64_t pid_start_time;
    uint64_t sequence;
    uint64_t version;                     /* of the assignments in force */
    unsigned life;                        /* counts our incarnations */
    unsigned asked_in_life[RPC_CHANNELS]; /* a former life's answers are not for us */
    int64_t waiting_since_ms;             /* for the answer to a report; 0: not waiting */
    int64_t redial_ms, redial_wait_ms;    /* when to connect anew, and the pause after that */
    bool report_again;                    /* something changed after the report under way was made */
    bool last_report;                     /* the report under way says that no task is left */
    bool introduced;                      /* the coordinator knows this incarnation: it may watch */
    bool lost;
    bool misunderstood; /* the last answer was a refusal or could not be read: told once */
    bool leaving;
    void (*done)(void *arg);
    void *done_arg;
};

static void report_in(conversation *c, int64_t wait_ms);

static int64_t now_ms(const conversation *c)
{
    return (int64_t)uv_now(c->loop);
}

static void finish_leaving(conversation *c)
{
    void (*done)(void *) = c->done;
    c->done = NULL;
    if (done != NULL)
        done(c->done_arg);
}

static void note_answer(conversation *c)
{
    c->waiting_since_ms = 0;
    c->redial_ms = c->redial_wait_ms = 0;
    if (c->lost)
        mr_log(MR_INFO, "the coordinator answers again", MR_STR("coordinator", c->config->coordinator));
    c->lost = false;
}

/* Each time leaves a dialer behind, so the pauses grow. */
static void dial_again(conversation *c)
{
    if (c->redial_ms > now_ms(c))
        return;
    rpc_redial(c->rpc);
    c->redial_wait_ms = c->redial_wait_ms == 0 ? REDIAL_MS : 2 * c->redial_wait_ms;
    if (c->redial_wait_ms > REDIAL_MAX_MS)
        c->redial_wait_ms = REDIAL_MAX_MS;
    c->redial_ms = now_ms(c) + c->redial_wait_ms;
}

static void note_silence(conversation *c)
{
    if (c->lost)
        dial_again(c);
    if (c->lost || c->waiting_since_ms == 0 || now_ms(c) - c->waiting_since_ms < MISSED_MS)
        return;
    c->lost = true;
    mr_log(MR_WARN, "the coordinator does not answer, tasks run on",
           MR_STR("coordinator", c->config->coordinator),
           MR_INT("silent_ms", now_ms(c) - c->waiting_since_ms));
}

/* A staging folder may be mounted after we started, or made by a coordinator that starts after us. */
static const char *staging_id(conversation *c)
{
    if (c->staging_id[0] == '\0')
        (void)host_staging_id(c->config->staging_dir, c->staging_id, NULL);
    return c->staging_id;
}

static void send_report(conversation *c)
{
    Mr__Proto__Report facts = MR__PROTO__REPORT__INIT;
    worker_report report;
    mr_error error;
    facts.worker = (char *)c->config->name;
    facts.incarnation = c->incarnation;
    facts.sequence = ++c->sequence;
    facts.host = c->boot_id;
    facts.pid = getpid();
    facts.pid_start_time = c->pid_start_time;
    facts.cpu_millis = c->config->cpu_millis;
    facts.memory_bytes = c->config->memory_bytes;
    facts.staging_id = (char *)staging_id(c);
    facts.leaving = c->leaving;
    facts.version = MR_VERSION;
    mr_err err = report_init(&report, &facts, children_supervisor(c->children), &error);
    if (err == MR_OK) {
        MR_FAULT("worker_before_report");
        err = rpc_send(c->rpc, RPC_REPORT, &report.request, REPORT_TIMEOUT_MS, &error);
        report_fini(&report);
    }
    if (err != MR_OK) {
        mr_log_failure(MR_ERROR, "a report cannot be sent", &error);
        return;
    }
    c->asked_in_life[RPC_REPORT] = c->life;
    c->last_report = c->leaving && supervisor_process_count(children_supervisor(c->children)) == 0;
    c->report_again = false;
    if (c->waiting_since_ms == 0)
        c->waiting_since_ms = now_ms(c);
}

static void send_watch(conversation *c)
{
    Mr__Proto__Request request = MR__PROTO__REQUEST__INIT;
    Mr__Proto__Watch watch = MR__PROTO__WATCH__INIT;
    mr_error error;
    watch.worker = (char *)c->config->name;
    watch.incarnation = c->incarnation;
    watch.version = c->version;
    request.protocol = MR_PROTOCOL;
    request.watch = &watch;
    c->asked_in_life[RPC_WATCH] = c->life;
    if (rpc_send(c->rpc, RPC_WATCH, &request, WATCH_TIMEOUT_MS, &error) != MR_OK)
        mr_log_failure(MR_ERROR, "assignments cannot be asked for", &error);
}

/* Keeps a watch parked. */
static void watch_on(conversation *c)
{
    if (c->introduced && !c->leaving && !rpc_busy(c->rpc, RPC_WATCH))
        send_watch(c);
}

static void on_timer(uv_timer_t *timer)
{
    conversation *c = timer->data;
    uv_timer_start(timer, on_timer, REPORT_MS, 0);
    if (rpc_busy(c->rpc, RPC_REPORT))
        c->report_again = true;
    else
        send_report(c);
    watch_on(c);
    note_silence(c);
    if (c->leaving && c->lost && supervisor_process_count(children_supervisor(c->children)) == 0)
        finish_leaving(c);
}

static void report_in(conversation *c, int64_t wait_ms)
{
    if (uv_timer_get_due_in(&c->timer) > (uint64_t)wait_ms)
        uv_timer_start(&c->timer, on_timer, (uint64_t)wait_ms, 0);
}

void conversation_changed(conversation *c, supervisor_change change)
{
    report_in(c, change == CHANGE_STATE ? 0 : PROGRESS_MS);
}

/* Somebody else reports under our name, or the coordinator took us for dead: nothing here is ours any more.
 */
static void begin_new_life(conversation *c, const char *reason)
{
    mr_error error;
    mr_log(MR_ERROR, "this worker was replaced: its tasks are ended, it goes on as a new one",
           MR_STR("reason", reason), MR_STR("hint", "two workers must not have the same name"));
    supervisor_abandon(children_supervisor(c->children));
    children_settle(c->children);
    if (host_random_id(c->incarnation, &error) != MR_OK)
        mr_log_failure(MR_ERROR, "no new incarnation", &error);
    c->life++;
    c->version = 0;
    c->introduced = false;
    uv_timer_start(&c->timer, on_timer, REPORT_MS, 0);
}

/* A watch is refused by a coordinator that has just started and had no report yet: the next one mends that.
 */
static void handle_refusal(conversation *c, rpc_channel channel, const char *reason)
{
    c->introduced = false;
    if (strncmp(reason, MR_REFUSED_REPLACED, strlen(MR_REFUSED_REPLACED)) == 0)
        begin_new_life(c, reason);
    else if (channel == RPC_REPORT && !c->misunderstood)
        mr_log(MR_ERROR, "the coordinator refuses this worker", MR_STR("reason", reason));
    if (channel == RPC_REPORT)
        c->misunderstood = true;
    else
        report_in(c, PROGRESS_MS);
}

static void take_ack(conversation *c, const Mr__Proto__Ack *ack)
{
    for (size_t i = 0; i < ack->n_ids; i++)
        supervisor_acked(children_supervisor(c->children), ack->ids[i], ack->epochs[i]);
    if (ack->n_ids > 0)
        MR_FAULT("worker_after_ack");
}

static void take_assignments(conversation *c, const Mr__Proto__Assignments *assignments)
{
    c->version = assignments->version;
    MR_FAULT("worker_assignments_received");
    if (supervisor_assign(children_supervisor(c->children), assignments, now_ms(c)) != MR_OK) {
        mr_log(MR_ERROR, "no memory for all assignments, they are asked for again");
        c->version = 0;
    }
    children_settle(c->children);
}

static void after_report(conversation *c)
{
    if (c->last_report && c->leaving)
        finish_leaving(c);
    else if (c->report_again)
        report_in(c, 0);
}

static void on_replied(void *arg, rpc_channel channel, Mr__Proto__Reply *reply)
{
    conversation *c = arg;
    bool refused = reply->refused[0] != '\0';
    uv_update_time(c->loop);
    if (channel == RPC_REPORT)
        note_answer(c);
    if (c->asked_in_life[channel] != c->life) {
        mr_reply_close(&reply);
        return;
    }
    if (refused) {
        handle_refusal(c, channel, reply->refused);
    } else {
        c->misunderstood = false;
        c->introduced = true;
        if (reply->ack != NULL)
            take_ack(c, reply->ack);
        if (reply->assignments != NULL)
            take_assignments(c, reply->assignments);
    }
    mr_reply_close(&reply);
    if (channel == RPC_REPORT)
        after_report(c);
    watch_on(c);
}

/* The next turn of the timer asks again. */
static void on_failed(void *arg, rpc_channel channel, const mr_error *error)
{
    conversation *c = arg;
    (void)channel;
    if (error->code != MR_ETIMEDOUT && !c->misunderstood) {
        mr_log_failure(MR_ERROR, "the coordinator's answer is of no use", error,
                       MR_STR("coordinator", c->config->coordinator));
        c->misunderstood = true;
    }
}

static const rpc_events events = {.replied = on_replied, .failed = on_failed};

void conversation_leave(conversation *c, void (*done)(void *arg), void *arg)
{
    c->leaving = true;
    c->done = done;
    c->done_arg = arg;
    report_in(c, 0);
}

mr_err conversation_open(uv_loop_t *loop, const worker_config *config, task_children *children,
                         conversation **ret_conversation, mr_error *ret_error)
{
    conversation *c = calloc(1, sizeof *c);
    if (c == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory");
    c->loop = loop;
    c->config = config;
    c->children = children;
    c->pid_start_time = mr_process_start_time(getpid());
    mr_err err = host_boot_id(c->boot_id, ret_error);
    if (err == MR_OK)
        err = host_random_id(c->incarnation, ret_error);
    if (err == MR_OK)
        err = rpc_open(loop, config->coordinator, &events, c, &c->rpc, ret_error);
    if (err != MR_OK) {
        free(c);
        return err;
    }
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_timer, 0, 0);
    *ret_conversation = c;
    return MR_OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void conversation_close(conversation **c)
{
    if (*c == NULL)
        return;
    rpc_close(&(*c)->rpc);
    uv_close((uv_handle_t *)&(*c)->timer, on_closed);
    *c = NULL;
}
