/* Schedules of the learning rate. */
#include "support.h"

#include <sslcv/optim.h>

static double at(const sslcv_schedule *schedule, int64_t step, int64_t steps_per_epoch, int64_t epochs)
{
    double value;

    OK(sslcv_schedule_value(schedule, step, steps_per_epoch, epochs, &value));
    return value;
}

static sslcv_schedule new_schedule(int32_t kind, double value)
{
    sslcv_schedule schedule;

    OK(sslcv_schedule_init(&schedule, sizeof schedule, kind, value));
    return schedule;
}

START_TEST(schedules_have_the_published_values)
{
    static const struct {
        int64_t step;
        double value;
    } warm[4] = {{5, 0.3}, {10, 0.6}, {55, 0.3}, {99, 0.00018275}},
      swav[6] = {{0, 0.3}, {5, 2.8}, {9, 4.8}, {10, 4.8}, {55, 2.4024}, {99, 0.00626055}},
      byol[5] = {{0, 0.99}, {25, 0.99146447}, {50, 0.995}, {75, 0.99853553}, {100, 1.0}};
    sslcv_schedule s = new_schedule(SSLCV_SCHEDULE_COSINE, 0.6);
    int i;

    s.warmup_epochs = 1.0;
    CLOSE(at(&s, 0, 10, 10), 0.0, 0.0);
    for (i = 0; i < 4; i++) CLOSE(at(&s, warm[i].step, 10, 10), warm[i].value, 5e-9);
    s = new_schedule(SSLCV_SCHEDULE_COSINE, 4.8);
    s.warmup_start = 0.3;
    s.warmup_epochs = 10.0;
    s.warmup_reaches = 1;
    s.end_value = 0.0048;
    for (i = 0; i < 6; i++) CLOSE(at(&s, swav[i].step, 1, 100), swav[i].value, 5e-9);
    s = new_schedule(SSLCV_SCHEDULE_COSINE, 0.99);
    s.end_value = 1.0;
    for (i = 0; i < 5; i++) CLOSE(at(&s, byol[i].step, 4, 25), byol[i].value, 5e-9);
}
END_TEST

START_TEST(schedules_by_epoch_and_step)
{
    sslcv_schedule s = new_schedule(SSLCV_SCHEDULE_COSINE, 0.03);
    int64_t step;

    s.by_epoch = 1; /* MoCo v2: lr (1 + cos(pi e / E)) / 2 */
    for (step = 0; step < 200; step += 7) {
        CLOSE(at(&s, step, 10, 20), 0.03 * 0.5 * (1.0 + cos(acos(-1.0) * (double)(step / 10) / 20.0)), 1e-12);
    }
    s = new_schedule(SSLCV_SCHEDULE_STEPS, 0.03); /* MoCo v1 */
    s.num_milestones = 2;
    s.milestones[0] = 120.0;
    s.milestones[1] = 160.0;
    CLOSE(at(&s, 120 * 5 - 1, 5, 200), 0.03, 1e-15);
    CLOSE(at(&s, 120 * 5, 5, 200), 0.003, 1e-15);
    CLOSE(at(&s, 160 * 5 - 1, 5, 200), 0.003, 1e-15);
    CLOSE(at(&s, 160 * 5, 5, 200), 0.0003, 1e-15);
    s.milestones[0] = 119.5;
    CLOSE(at(&s, 119 * 4 + 2, 4, 200), 0.003, 1e-15);
    s.by_epoch = 1;
    CLOSE(at(&s, 119 * 4 + 2, 4, 200), 0.03, 1e-15);

    s = new_schedule(SSLCV_SCHEDULE_LINEAR, 1.0);
    s.end_value = 3.0;
    CLOSE(at(&s, 5, 10, 2), 1.5, 1e-15);
    CLOSE(at(&s, 1000, 10, 2), 3.0, 1e-15); /* beyond its end */
    s = new_schedule(SSLCV_SCHEDULE_CONSTANT, 7.0);
    s.warmup_epochs = 0.5;
    CLOSE(at(&s, 1, 4, 2), 3.5, 1e-15);
    CLOSE(at(&s, 2, 4, 2), 7.0, 1e-15);
    s.warmup_epochs = 2.0; /* by epoch, and the last of them already there */
    s.by_epoch = 1;
    s.warmup_reaches = 1;
    CLOSE(at(&s, 3, 4, 2), 0.0, 1e-15);
    CLOSE(at(&s, 4, 4, 2), 7.0, 1e-15);
    s = new_schedule(SSLCV_SCHEDULE_COSINE, 1.0);
    s.warmup_epochs = 50.0; /* longer than the run */
    CLOSE(at(&s, 9, 10, 1), 9.0 / 500.0, 1e-15);
}
END_TEST

START_TEST(schedules_are_checked)
{
    sslcv_schedule s = new_schedule(SSLCV_SCHEDULE_STEPS, 1.0), bad;
    double value = 77.0;

    FAILS(sslcv_schedule_init(&s, sizeof s, 4, 1.0), SSLCV_ERR_INVALID_ARGUMENT, "schedule.kind is 4");
    FAILS(sslcv_schedule_init(&s, sizeof s, 0, NAN), SSLCV_ERR_INVALID_ARGUMENT, "schedule.value is");
    FAILS(sslcv_schedule_init(&s, 8, 0, 1.0), SSLCV_ERR_INVALID_ARGUMENT, "schedule.struct_size is 8");
    FAILS(sslcv_schedule_value(NULL, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule is NULL");
    FAILS(sslcv_schedule_value(&s, 0, 1, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "value is NULL");
    FAILS(sslcv_schedule_value(&s, -1, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "step is -1");
    FAILS(sslcv_schedule_value(&s, 0, 0, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "steps_per_epoch is 0");
    FAILS(sslcv_schedule_value(&s, 0, 1, 0, &value), SSLCV_ERR_INVALID_ARGUMENT, "epochs is 0");
    bad = s;
    bad.kind = -1;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.kind is -1");
    bad = s;
    bad.by_epoch = 2;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.by_epoch is 2");
    bad = s;
    bad.warmup_reaches = 2;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.warmup_reaches is 2");
    bad = s;
    bad.warmup_epochs = -1.0;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.warmup_epochs is -1");
    bad = s;
    bad.gamma = INFINITY;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.gamma is inf");
    bad = s;
    bad.num_milestones = 9;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT, "schedule.num_milestones is 9");
    bad.num_milestones = 2;
    bad.milestones[0] = 3.0;
    bad.milestones[1] = 2.0;
    FAILS(sslcv_schedule_value(&bad, 0, 1, 1, &value), SSLCV_ERR_INVALID_ARGUMENT,
          "schedule.milestones[1] is 2; must be >= 3");
    ck_assert_double_eq(value, 77.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule");
    TCase *schedules = tcase_create("schedules");

    tcase_add_test(schedules, schedules_have_the_published_values);
    tcase_add_test(schedules, schedules_by_epoch_and_step);
    tcase_add_test(schedules, schedules_are_checked);
    suite_add_tcase(suite, schedules);
    return run_suite(suite);
}
