/* What a code block of the docs that is not a whole file may take for granted. */
#include <sslcv/sslcv.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sslcv_context *context;
static sslcv_dataset *dataset, *images;
static sslcv_augmenter *augmenter;
static sslcv_loader *loader;
static sslcv_backbone *backbone;
static sslcv_head *head, *projection, *classifier;
static sslcv_loss *loss, *info_nce, *cross_entropy;
static sslcv_optimizer *optimizer;
static sslcv_trainer *trainer;
static sslcv_state *state;
static sslcv_tape *tape;
static sslcv_probe *probe;
static sslcv_branch branch;
static int64_t z, features, logits; /* branches */
static sslcv_status status;
