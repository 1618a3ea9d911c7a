/**
 * Layout of every public struct, checked at compile time: fields in this order, no hole, no tail padding, this size. A
 * released line is never edited; a new field moves LAST and SIZE only. Compiles as C99 and as C++11.
 */
#include <sslcv/sslcv.h>

#include <stddef.h>

#define JOIN2(a, b)      a##b
#define JOIN(a, b)       JOIN2(a, b)
#define CHECK(condition) typedef char JOIN(check_, __LINE__)[(condition) ? 1 : -1]
#define END(s, f)        (offsetof(s, f) + sizeof(((s *)0)->f))
#define FIRST(s, f)      CHECK(offsetof(s, f) == 0)
#define NEXT(s, a, b)    CHECK(offsetof(s, b) == END(s, a))
#define LAST(s, f, size) CHECK(END(s, f) == sizeof(s) && sizeof(s) == (size))

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-local-typedefs"
#endif

CHECK(sizeof(size_t) == 8 && sizeof(void *) == 8 && sizeof(double) == 8 && sizeof(sslcv_status) == 4);

/* context.h */
FIRST(sslcv_allocator, struct_size);
NEXT(sslcv_allocator, struct_size, user);
NEXT(sslcv_allocator, user, allocate);
NEXT(sslcv_allocator, allocate, deallocate);
NEXT(sslcv_allocator, deallocate, destroy);
LAST(sslcv_allocator, destroy, 40);

FIRST(sslcv_context_options, struct_size);
NEXT(sslcv_context_options, struct_size, threads);
NEXT(sslcv_context_options, threads, loader_threads);
NEXT(sslcv_context_options, loader_threads, precision);
NEXT(sslcv_context_options, precision, winograd);
NEXT(sslcv_context_options, winograd, seed);
NEXT(sslcv_context_options, seed, allocator);
NEXT(sslcv_context_options, allocator, log);
NEXT(sslcv_context_options, log, log_user);
NEXT(sslcv_context_options, log_user, log_level);
NEXT(sslcv_context_options, log_level, reserved);
NEXT(sslcv_context_options, reserved, tuning_path);
NEXT(sslcv_context_options, tuning_path, log_destroy);
LAST(sslcv_context_options, log_destroy, 80);

FIRST(sslcv_context_info, struct_size);
NEXT(sslcv_context_info, struct_size, threads);
NEXT(sslcv_context_info, threads, loader_threads);
NEXT(sslcv_context_info, loader_threads, precision);
NEXT(sslcv_context_info, precision, cancelled);
NEXT(sslcv_context_info, cancelled, cpu);
NEXT(sslcv_context_info, cpu, bytes);
LAST(sslcv_context_info, bytes, 40);

/* tensor.h */
FIRST(sslcv_tensor, data);
NEXT(sslcv_tensor, data, shape);
NEXT(sslcv_tensor, shape, strides);
NEXT(sslcv_tensor, strides, ndim);
NEXT(sslcv_tensor, ndim, dtype);
LAST(sslcv_tensor, dtype, 144);

/* state.h */
FIRST(sslcv_state_entry, struct_size);
NEXT(sslcv_state_entry, struct_size, name);
NEXT(sslcv_state_entry, name, shape);
NEXT(sslcv_state_entry, shape, ndim);
NEXT(sslcv_state_entry, ndim, dtype);
NEXT(sslcv_state_entry, dtype, role);
NEXT(sslcv_state_entry, role, frozen);
LAST(sslcv_state_entry, frozen, 96);

FIRST(sslcv_stream, struct_size);
NEXT(sslcv_stream, struct_size, user);
NEXT(sslcv_stream, user, read);
NEXT(sslcv_stream, read, write);
LAST(sslcv_stream, write, 32);

FIRST(sslcv_save_options, struct_size);
NEXT(sslcv_save_options, struct_size, dtype);
NEXT(sslcv_save_options, dtype, roles);
NEXT(sslcv_save_options, roles, generations);
NEXT(sslcv_save_options, generations, format);
NEXT(sslcv_save_options, format, prefix);
NEXT(sslcv_save_options, prefix, metadata);
NEXT(sslcv_save_options, metadata, num_metadata);
NEXT(sslcv_save_options, num_metadata, stream);
LAST(sslcv_save_options, stream, 56);

FIRST(sslcv_load_options, struct_size);
NEXT(sslcv_load_options, struct_size, partial);
NEXT(sslcv_load_options, partial, adapt_input);
NEXT(sslcv_load_options, adapt_input, roles);
NEXT(sslcv_load_options, roles, reserved);
NEXT(sslcv_load_options, reserved, prefix);
NEXT(sslcv_load_options, prefix, max_bytes);
NEXT(sslcv_load_options, max_bytes, stream);
LAST(sslcv_load_options, stream, 48);

FIRST(sslcv_load_report, struct_size);
NEXT(sslcv_load_report, struct_size, matched);
NEXT(sslcv_load_report, matched, missing);
NEXT(sslcv_load_report, missing, unexpected);
NEXT(sslcv_load_report, unexpected, adapted);
NEXT(sslcv_load_report, adapted, text);
NEXT(sslcv_load_report, text, text_size);
NEXT(sslcv_load_report, text_size, text_needed);
NEXT(sslcv_load_report, text_needed, layout);
LAST(sslcv_load_report, layout, 96);

/* augment.h */
FIRST(sslcv_transform_callbacks, struct_size);
NEXT(sslcv_transform_callbacks, struct_size, user);
NEXT(sslcv_transform_callbacks, user, apply);
NEXT(sslcv_transform_callbacks, apply, destroy);
NEXT(sslcv_transform_callbacks, destroy, flags);
NEXT(sslcv_transform_callbacks, flags, reserved);
LAST(sslcv_transform_callbacks, reserved, 40);

FIRST(sslcv_transform, struct_size);
NEXT(sslcv_transform, struct_size, kind);
NEXT(sslcv_transform, kind, interpolation);
NEXT(sslcv_transform, interpolation, probability);
NEXT(sslcv_transform, probability, height);
NEXT(sslcv_transform, height, width);
NEXT(sslcv_transform, width, rows);
NEXT(sslcv_transform, rows, columns);
NEXT(sslcv_transform, columns, padding);
NEXT(sslcv_transform, padding, first);
NEXT(sslcv_transform, first, count);
NEXT(sslcv_transform, count, min);
NEXT(sslcv_transform, min, max);
NEXT(sslcv_transform, max, ratio_min);
NEXT(sslcv_transform, ratio_min, ratio_max);
NEXT(sslcv_transform, ratio_max, brightness);
NEXT(sslcv_transform, brightness, contrast);
NEXT(sslcv_transform, contrast, saturation);
NEXT(sslcv_transform, saturation, hue);
NEXT(sslcv_transform, hue, mean);
NEXT(sslcv_transform, mean, std);
NEXT(sslcv_transform, std, color_space);
NEXT(sslcv_transform, color_space, placement);
NEXT(sslcv_transform, placement, shuffle);
NEXT(sslcv_transform, shuffle, with_previous);
NEXT(sslcv_transform, with_previous, callbacks);
LAST(sslcv_transform, callbacks, 424);

FIRST(sslcv_view_info, struct_size);
NEXT(sslcv_view_info, struct_size, channels);
NEXT(sslcv_view_info, channels, height);
NEXT(sslcv_view_info, height, width);
NEXT(sslcv_view_info, width, rows);
NEXT(sslcv_view_info, rows, columns);
LAST(sslcv_view_info, columns, 48);

/* dataset.h */
FIRST(sslcv_dataset_callbacks, struct_size);
NEXT(sslcv_dataset_callbacks, struct_size, user);
NEXT(sslcv_dataset_callbacks, user, load);
NEXT(sslcv_dataset_callbacks, load, unload);
NEXT(sslcv_dataset_callbacks, unload, get_label);
NEXT(sslcv_dataset_callbacks, get_label, destroy);
NEXT(sslcv_dataset_callbacks, destroy, flags);
NEXT(sslcv_dataset_callbacks, flags, reserved);
LAST(sslcv_dataset_callbacks, reserved, 56);

FIRST(sslcv_dataset_options, struct_size);
NEXT(sslcv_dataset_options, struct_size, kind);
NEXT(sslcv_dataset_options, kind, part);
NEXT(sslcv_dataset_options, part, label_folders);
NEXT(sslcv_dataset_options, label_folders, on_error);
NEXT(sslcv_dataset_options, on_error, channels);
NEXT(sslcv_dataset_options, channels, cache);
NEXT(sslcv_dataset_options, cache, path);
NEXT(sslcv_dataset_options, path, labels_path);
NEXT(sslcv_dataset_options, labels_path, count);
NEXT(sslcv_dataset_options, count, num_classes);
NEXT(sslcv_dataset_options, num_classes, max_pixels);
NEXT(sslcv_dataset_options, max_pixels, max_file_bytes);
NEXT(sslcv_dataset_options, max_file_bytes, max_cache_bytes);
NEXT(sslcv_dataset_options, max_cache_bytes, callbacks);
NEXT(sslcv_dataset_options, callbacks, min_side);
LAST(sslcv_dataset_options, min_side, 104);

FIRST(sslcv_dataset_info, struct_size);
NEXT(sslcv_dataset_info, struct_size, count);
NEXT(sslcv_dataset_info, count, num_classes);
NEXT(sslcv_dataset_info, num_classes, channels);
NEXT(sslcv_dataset_info, channels, height);
NEXT(sslcv_dataset_info, height, width);
NEXT(sslcv_dataset_info, width, failed);
LAST(sslcv_dataset_info, failed, 56);

FIRST(sslcv_sample, struct_size);
NEXT(sslcv_sample, struct_size, name);
NEXT(sslcv_sample, name, label);
LAST(sslcv_sample, label, 24);

FIRST(sslcv_split_options, struct_size);
NEXT(sslcv_split_options, struct_size, fraction);
NEXT(sslcv_split_options, fraction, per_class);
NEXT(sslcv_split_options, per_class, folds);
NEXT(sslcv_split_options, folds, fold);
NEXT(sslcv_split_options, fold, list_path);
NEXT(sslcv_split_options, list_path, seed);
NEXT(sslcv_split_options, seed, balanced);
NEXT(sslcv_split_options, balanced, complement);
LAST(sslcv_split_options, complement, 64);

FIRST(sslcv_loader_options, struct_size);
NEXT(sslcv_loader_options, struct_size, dataset);
NEXT(sslcv_loader_options, dataset, augmenter);
NEXT(sslcv_loader_options, augmenter, batch_size);
NEXT(sslcv_loader_options, batch_size, prefetch);
NEXT(sslcv_loader_options, prefetch, seed);
NEXT(sslcv_loader_options, seed, sampler);
NEXT(sslcv_loader_options, sampler, drop_last);
LAST(sslcv_loader_options, drop_last, 56);

FIRST(sslcv_batch, struct_size);
NEXT(sslcv_batch, struct_size, size);
NEXT(sslcv_batch, size, epoch);
NEXT(sslcv_batch, epoch, index);
NEXT(sslcv_batch, index, count);
NEXT(sslcv_batch, count, ids);
NEXT(sslcv_batch, ids, labels);
LAST(sslcv_batch, labels, 56);

/* tape.h */
FIRST(sslcv_pass, struct_size);
NEXT(sslcv_pass, struct_size, flags);
NEXT(sslcv_pass, flags, bn_splits);
NEXT(sslcv_pass, bn_splits, random);
NEXT(sslcv_pass, random, stage);
LAST(sslcv_pass, stage, 32);

/* backbone.h */
FIRST(sslcv_backbone_options, struct_size);
NEXT(sslcv_backbone_options, struct_size, architecture);
NEXT(sslcv_backbone_options, architecture, stem);
NEXT(sslcv_backbone_options, stem, norm);
NEXT(sslcv_backbone_options, norm, zero_init_residual);
NEXT(sslcv_backbone_options, zero_init_residual, project_all);
NEXT(sslcv_backbone_options, project_all, num_stages);
NEXT(sslcv_backbone_options, num_stages, preactivation);
NEXT(sslcv_backbone_options, preactivation, reserved);
NEXT(sslcv_backbone_options, reserved, channels);
NEXT(sslcv_backbone_options, channels, stem_channels);
NEXT(sslcv_backbone_options, stem_channels, image_size);
NEXT(sslcv_backbone_options, image_size, width);
NEXT(sslcv_backbone_options, width, norm_epsilon);
NEXT(sslcv_backbone_options, norm_epsilon, norm_momentum);
NEXT(sslcv_backbone_options, norm_momentum, seed);
LAST(sslcv_backbone_options, seed, 96);

FIRST(sslcv_backbone_info, struct_size);
NEXT(sslcv_backbone_info, struct_size, channels);
NEXT(sslcv_backbone_info, channels, feature_dim);
NEXT(sslcv_backbone_info, feature_dim, num_parameters);
NEXT(sslcv_backbone_info, num_parameters, num_stages);
NEXT(sslcv_backbone_info, num_stages, frozen_stages);
NEXT(sslcv_backbone_info, frozen_stages, architecture);
NEXT(sslcv_backbone_info, architecture, stem);
NEXT(sslcv_backbone_info, stem, norm);
NEXT(sslcv_backbone_info, norm, preactivation);
NEXT(sslcv_backbone_info, preactivation, width);
NEXT(sslcv_backbone_info, width, stem_channels);
NEXT(sslcv_backbone_info, stem_channels, image_size);
LAST(sslcv_backbone_info, image_size, 80);

/* head.h */
FIRST(sslcv_mlp_options, struct_size);
NEXT(sslcv_mlp_options, struct_size, in_dim);
NEXT(sslcv_mlp_options, in_dim, hidden_dim);
NEXT(sslcv_mlp_options, hidden_dim, out_dim);
NEXT(sslcv_mlp_options, out_dim, dropout);
NEXT(sslcv_mlp_options, dropout, init_std);
NEXT(sslcv_mlp_options, init_std, seed);
NEXT(sslcv_mlp_options, seed, num_layers);
NEXT(sslcv_mlp_options, num_layers, norm);
NEXT(sslcv_mlp_options, norm, last_norm);
NEXT(sslcv_mlp_options, last_norm, activation);
NEXT(sslcv_mlp_options, activation, bias);
NEXT(sslcv_mlp_options, bias, last_bias);
NEXT(sslcv_mlp_options, last_bias, normalize);
NEXT(sslcv_mlp_options, normalize, reserved);
LAST(sslcv_mlp_options, reserved, 88);

FIRST(sslcv_patch_mlp_options, struct_size);
NEXT(sslcv_patch_mlp_options, struct_size, in_dim);
NEXT(sslcv_patch_mlp_options, in_dim, num_patches);
NEXT(sslcv_patch_mlp_options, num_patches, hidden_dim);
NEXT(sslcv_patch_mlp_options, hidden_dim, patch_dim);
NEXT(sslcv_patch_mlp_options, patch_dim, out_dim);
NEXT(sslcv_patch_mlp_options, out_dim, seed);
NEXT(sslcv_patch_mlp_options, seed, num_layers);
NEXT(sslcv_patch_mlp_options, num_layers, reserved);
LAST(sslcv_patch_mlp_options, reserved, 64);

FIRST(sslcv_prototypes_options, struct_size);
NEXT(sslcv_prototypes_options, struct_size, in_dim);
NEXT(sslcv_prototypes_options, in_dim, out_dim);
NEXT(sslcv_prototypes_options, out_dim, seed);
LAST(sslcv_prototypes_options, seed, 32);

FIRST(sslcv_pixelcnn_options, struct_size);
NEXT(sslcv_pixelcnn_options, struct_size, in_dim);
NEXT(sslcv_pixelcnn_options, in_dim, hidden_dim);
NEXT(sslcv_pixelcnn_options, hidden_dim, out_dim);
NEXT(sslcv_pixelcnn_options, out_dim, rows);
NEXT(sslcv_pixelcnn_options, rows, columns);
NEXT(sslcv_pixelcnn_options, columns, seed);
NEXT(sslcv_pixelcnn_options, seed, num_layers);
NEXT(sslcv_pixelcnn_options, num_layers, directions);
LAST(sslcv_pixelcnn_options, directions, 64);

FIRST(sslcv_cpc_v2_options, struct_size);
NEXT(sslcv_cpc_v2_options, struct_size, in_dim);
NEXT(sslcv_cpc_v2_options, in_dim, hidden_dim);
NEXT(sslcv_cpc_v2_options, hidden_dim, rows);
NEXT(sslcv_cpc_v2_options, rows, columns);
NEXT(sslcv_cpc_v2_options, columns, seed);
NEXT(sslcv_cpc_v2_options, seed, num_blocks);
NEXT(sslcv_cpc_v2_options, num_blocks, directions);
LAST(sslcv_cpc_v2_options, directions, 56);

FIRST(sslcv_head_callbacks, struct_size);
NEXT(sslcv_head_callbacks, struct_size, user);
NEXT(sslcv_head_callbacks, user, forward);
NEXT(sslcv_head_callbacks, forward, backward);
NEXT(sslcv_head_callbacks, backward, destroy);
NEXT(sslcv_head_callbacks, destroy, in_dim);
NEXT(sslcv_head_callbacks, in_dim, out_dim);
NEXT(sslcv_head_callbacks, out_dim, out_patches);
LAST(sslcv_head_callbacks, out_patches, 64);

FIRST(sslcv_head_info, struct_size);
NEXT(sslcv_head_info, struct_size, kind);
NEXT(sslcv_head_info, kind, in_dim);
NEXT(sslcv_head_info, in_dim, out_dim);
NEXT(sslcv_head_info, out_dim, num_parameters);
LAST(sslcv_head_info, num_parameters, 40);

/* loss.h */
FIRST(sslcv_loss_call, struct_size);
NEXT(sslcv_loss_call, struct_size, inputs);
NEXT(sslcv_loss_call, inputs, diff_inputs);
NEXT(sslcv_loss_call, diff_inputs, num_inputs);
NEXT(sslcv_loss_call, num_inputs, ids);
NEXT(sslcv_loss_call, ids, labels);
NEXT(sslcv_loss_call, labels, targets);
NEXT(sslcv_loss_call, targets, step);
NEXT(sslcv_loss_call, step, epoch);
NEXT(sslcv_loss_call, epoch, scale);
NEXT(sslcv_loss_call, scale, flags);
NEXT(sslcv_loss_call, flags, reserved);
NEXT(sslcv_loss_call, reserved, value);
LAST(sslcv_loss_call, value, 96);

FIRST(sslcv_loss_callbacks, struct_size);
NEXT(sslcv_loss_callbacks, struct_size, user);
NEXT(sslcv_loss_callbacks, user, compute);
NEXT(sslcv_loss_callbacks, compute, begin_epoch);
NEXT(sslcv_loss_callbacks, begin_epoch, destroy);
NEXT(sslcv_loss_callbacks, destroy, num_inputs);
NEXT(sslcv_loss_callbacks, num_inputs, gradient_inputs);
NEXT(sslcv_loss_callbacks, gradient_inputs, needs_ids);
NEXT(sslcv_loss_callbacks, needs_ids, needs_labels);
LAST(sslcv_loss_callbacks, needs_labels, 64);

FIRST(sslcv_loss_info, struct_size);
NEXT(sslcv_loss_info, struct_size, kind);
NEXT(sslcv_loss_info, kind, needs_ids);
NEXT(sslcv_loss_info, needs_ids, needs_labels);
NEXT(sslcv_loss_info, needs_labels, min_inputs);
NEXT(sslcv_loss_info, min_inputs, max_inputs);
NEXT(sslcv_loss_info, max_inputs, gradient_inputs);
NEXT(sslcv_loss_info, gradient_inputs, bytes);
LAST(sslcv_loss_info, bytes, 56);

/* losses.h */
FIRST(sslcv_info_nce_options, struct_size);
NEXT(sslcv_info_nce_options, struct_size, temperature);
NEXT(sslcv_info_nce_options, temperature, queue_size);
NEXT(sslcv_info_nce_options, queue_size, dim);
NEXT(sslcv_info_nce_options, dim, seed);
NEXT(sslcv_info_nce_options, seed, reduction);
NEXT(sslcv_info_nce_options, reduction, reserved);
LAST(sslcv_info_nce_options, reserved, 48);

FIRST(sslcv_nce_bank_options, struct_size);
NEXT(sslcv_nce_bank_options, struct_size, num_samples);
NEXT(sslcv_nce_bank_options, num_samples, num_inputs);
NEXT(sslcv_nce_bank_options, num_inputs, num_negatives);
NEXT(sslcv_nce_bank_options, num_negatives, dim);
NEXT(sslcv_nce_bank_options, dim, temperature);
NEXT(sslcv_nce_bank_options, temperature, bank_momentum);
NEXT(sslcv_nce_bank_options, bank_momentum, balance);
NEXT(sslcv_nce_bank_options, balance, epsilon);
NEXT(sslcv_nce_bank_options, epsilon, seed);
NEXT(sslcv_nce_bank_options, seed, pairing);
NEXT(sslcv_nce_bank_options, pairing, estimator);
NEXT(sslcv_nce_bank_options, estimator, shared_z);
NEXT(sslcv_nce_bank_options, shared_z, exclude_self);
NEXT(sslcv_nce_bank_options, exclude_self, unit_init);
NEXT(sslcv_nce_bank_options, unit_init, bank_dtype);
NEXT(sslcv_nce_bank_options, bank_dtype, row_weights);
LAST(sslcv_nce_bank_options, row_weights, 112);

FIRST(sslcv_swapped_options, struct_size);
NEXT(sslcv_swapped_options, struct_size, dim);
NEXT(sslcv_swapped_options, dim, num_prototypes);
NEXT(sslcv_swapped_options, num_prototypes, code_views);
NEXT(sslcv_swapped_options, code_views, temperature);
NEXT(sslcv_swapped_options, temperature, epsilon);
NEXT(sslcv_swapped_options, epsilon, iterations);
NEXT(sslcv_swapped_options, iterations, queue_size);
NEXT(sslcv_swapped_options, queue_size, queue_start_epoch);
NEXT(sslcv_swapped_options, queue_start_epoch, freeze_steps);
NEXT(sslcv_swapped_options, freeze_steps, hard_steps);
NEXT(sslcv_swapped_options, hard_steps, seed);
LAST(sslcv_swapped_options, seed, 96);

FIRST(sslcv_cluster_options, struct_size);
NEXT(sslcv_cluster_options, struct_size, num_samples);
NEXT(sslcv_cluster_options, num_samples, dim);
NEXT(sslcv_cluster_options, dim, num_prototypes);
NEXT(sslcv_cluster_options, num_prototypes, num_sets);
NEXT(sslcv_cluster_options, num_sets, memory_views);
NEXT(sslcv_cluster_options, memory_views, iterations);
NEXT(sslcv_cluster_options, iterations, temperature);
NEXT(sslcv_cluster_options, temperature, seed);
LAST(sslcv_cluster_options, seed, 72);

FIRST(sslcv_cpc_options, struct_size);
NEXT(sslcv_cpc_options, struct_size, dim);
NEXT(sslcv_cpc_options, dim, context_dim);
NEXT(sslcv_cpc_options, context_dim, rows);
NEXT(sslcv_cpc_options, rows, columns);
NEXT(sslcv_cpc_options, columns, first_offset);
NEXT(sslcv_cpc_options, first_offset, last_offset);
NEXT(sslcv_cpc_options, last_offset, num_negatives);
NEXT(sslcv_cpc_options, num_negatives, target_dim);
NEXT(sslcv_cpc_options, target_dim, score_scale);
NEXT(sslcv_cpc_options, score_scale, seed);
NEXT(sslcv_cpc_options, seed, directions);
NEXT(sslcv_cpc_options, directions, reduction);
LAST(sslcv_cpc_options, reduction, 96);

FIRST(sslcv_cosine_options, struct_size);
NEXT(sslcv_cosine_options, struct_size, squared);
NEXT(sslcv_cosine_options, squared, reduction);
LAST(sslcv_cosine_options, reduction, 16);

FIRST(sslcv_barlow_twins_options, struct_size);
NEXT(sslcv_barlow_twins_options, struct_size, off_diagonal);
LAST(sslcv_barlow_twins_options, off_diagonal, 16);

FIRST(sslcv_vicreg_options, struct_size);
NEXT(sslcv_vicreg_options, struct_size, weight_invariance);
NEXT(sslcv_vicreg_options, weight_invariance, weight_variance);
NEXT(sslcv_vicreg_options, weight_variance, weight_covariance);
LAST(sslcv_vicreg_options, weight_covariance, 32);

FIRST(sslcv_dino_options, struct_size);
NEXT(sslcv_dino_options, struct_size, dim);
NEXT(sslcv_dino_options, dim, student_temperature);
NEXT(sslcv_dino_options, student_temperature, teacher_temperature);
NEXT(sslcv_dino_options, teacher_temperature, center_momentum);
LAST(sslcv_dino_options, center_momentum, 40);

FIRST(sslcv_cross_entropy_options, struct_size);
NEXT(sslcv_cross_entropy_options, struct_size, label_smoothing);
LAST(sslcv_cross_entropy_options, label_smoothing, 16);

FIRST(sslcv_binary_cross_entropy_options, struct_size);
NEXT(sslcv_binary_cross_entropy_options, struct_size, reduction);
NEXT(sslcv_binary_cross_entropy_options, reduction, reserved);
LAST(sslcv_binary_cross_entropy_options, reserved, 16);

/* optim.h */
FIRST(sslcv_optimizer_options, struct_size);
NEXT(sslcv_optimizer_options, struct_size, kind);
NEXT(sslcv_optimizer_options, kind, nesterov);
NEXT(sslcv_optimizer_options, nesterov, momentum);
NEXT(sslcv_optimizer_options, momentum, weight_decay);
NEXT(sslcv_optimizer_options, weight_decay, beta1);
NEXT(sslcv_optimizer_options, beta1, beta2);
NEXT(sslcv_optimizer_options, beta2, epsilon);
NEXT(sslcv_optimizer_options, epsilon, trust);
NEXT(sslcv_optimizer_options, trust, clip_norm);
NEXT(sslcv_optimizer_options, clip_norm, decay_roles);
NEXT(sslcv_optimizer_options, decay_roles, adapt_roles);
NEXT(sslcv_optimizer_options, adapt_roles, trust_clip);
NEXT(sslcv_optimizer_options, trust_clip, clip_each);
LAST(sslcv_optimizer_options, clip_each, 88);

FIRST(sslcv_optimizer_group, struct_size);
NEXT(sslcv_optimizer_group, struct_size, rate_scale);
NEXT(sslcv_optimizer_group, rate_scale, weight_decay);
NEXT(sslcv_optimizer_group, weight_decay, momentum);
NEXT(sslcv_optimizer_group, momentum, fixed_rate);
NEXT(sslcv_optimizer_group, fixed_rate, adapt);
NEXT(sslcv_optimizer_group, adapt, freeze_steps);
LAST(sslcv_optimizer_group, freeze_steps, 48);

FIRST(sslcv_schedule, struct_size);
NEXT(sslcv_schedule, struct_size, kind);
NEXT(sslcv_schedule, kind, by_epoch);
NEXT(sslcv_schedule, by_epoch, value);
NEXT(sslcv_schedule, value, end_value);
NEXT(sslcv_schedule, end_value, warmup_start);
NEXT(sslcv_schedule, warmup_start, warmup_epochs);
NEXT(sslcv_schedule, warmup_epochs, warmup_reaches);
NEXT(sslcv_schedule, warmup_reaches, num_milestones);
NEXT(sslcv_schedule, num_milestones, gamma);
NEXT(sslcv_schedule, gamma, milestones);
LAST(sslcv_schedule, milestones, 128);

/* trainer.h */
FIRST(sslcv_branch, struct_size);
NEXT(sslcv_branch, struct_size, source);
NEXT(sslcv_branch, source, views);
NEXT(sslcv_branch, views, num_views);
NEXT(sslcv_branch, num_views, backbone);
NEXT(sslcv_branch, backbone, heads);
NEXT(sslcv_branch, heads, num_heads);
NEXT(sslcv_branch, num_heads, stage);
NEXT(sslcv_branch, stage, flags);
NEXT(sslcv_branch, flags, bn_splits);
NEXT(sslcv_branch, bn_splits, grouping);
NEXT(sslcv_branch, grouping, head_grouping);
NEXT(sslcv_branch, head_grouping, momentum);
NEXT(sslcv_branch, momentum, detach);
LAST(sslcv_branch, detach, 88);

FIRST(sslcv_trainer_options, struct_size);
NEXT(sslcv_trainer_options, struct_size, dataset);
NEXT(sslcv_trainer_options, dataset, augmenter);
NEXT(sslcv_trainer_options, augmenter, optimizer);
NEXT(sslcv_trainer_options, optimizer, learning_rate);
NEXT(sslcv_trainer_options, learning_rate, weight_decay);
NEXT(sslcv_trainer_options, weight_decay, ema_momentum);
NEXT(sslcv_trainer_options, ema_momentum, checkpoint_path);
NEXT(sslcv_trainer_options, checkpoint_path, batch_size);
NEXT(sslcv_trainer_options, batch_size, epochs);
NEXT(sslcv_trainer_options, epochs, steps_per_epoch);
NEXT(sslcv_trainer_options, steps_per_epoch, prefetch);
NEXT(sslcv_trainer_options, prefetch, memory_budget);
NEXT(sslcv_trainer_options, memory_budget, micro_batch);
NEXT(sslcv_trainer_options, micro_batch, checkpoint_epochs);
NEXT(sslcv_trainer_options, checkpoint_epochs, checkpoint_seconds);
NEXT(sslcv_trainer_options, checkpoint_seconds, seed);
NEXT(sslcv_trainer_options, seed, sampler);
NEXT(sslcv_trainer_options, sampler, drop_last);
NEXT(sslcv_trainer_options, drop_last, ema_when);
NEXT(sslcv_trainer_options, ema_when, ema_random_init);
NEXT(sslcv_trainer_options, ema_random_init, resume);
NEXT(sslcv_trainer_options, resume, generations);
LAST(sslcv_trainer_options, generations, 160);

FIRST(sslcv_progress, struct_size);
NEXT(sslcv_progress, struct_size, event);
NEXT(sslcv_progress, event, reserved);
NEXT(sslcv_progress, reserved, step);
NEXT(sslcv_progress, step, num_steps);
NEXT(sslcv_progress, num_steps, epoch);
NEXT(sslcv_progress, epoch, num_epochs);
NEXT(sslcv_progress, num_epochs, loss);
NEXT(sslcv_progress, loss, learning_rate);
NEXT(sslcv_progress, learning_rate, embedding_std);
NEXT(sslcv_progress, embedding_std, images_per_second);
NEXT(sslcv_progress, images_per_second, seconds);
NEXT(sslcv_progress, seconds, seconds_left);
LAST(sslcv_progress, seconds_left, 96);

FIRST(sslcv_view_batch, struct_size);
NEXT(sslcv_view_batch, struct_size, views);
NEXT(sslcv_view_batch, views, num_views);
NEXT(sslcv_view_batch, num_views, patches);
NEXT(sslcv_view_batch, patches, ids);
NEXT(sslcv_view_batch, ids, labels);
NEXT(sslcv_view_batch, labels, targets);
LAST(sslcv_view_batch, targets, 56);

FIRST(sslcv_hook, struct_size);
NEXT(sslcv_hook, struct_size, user);
NEXT(sslcv_hook, user, call);
NEXT(sslcv_hook, call, destroy);
NEXT(sslcv_hook, destroy, every);
NEXT(sslcv_hook, every, events);
NEXT(sslcv_hook, events, reserved);
LAST(sslcv_hook, reserved, 48);

FIRST(sslcv_memory, struct_size);
NEXT(sslcv_memory, struct_size, parameters);
NEXT(sslcv_memory, parameters, gradients);
NEXT(sslcv_memory, gradients, optimizer);
NEXT(sslcv_memory, optimizer, momentum_copies);
NEXT(sslcv_memory, momentum_copies, losses);
NEXT(sslcv_memory, losses, activations);
NEXT(sslcv_memory, activations, scratch);
NEXT(sslcv_memory, scratch, loader);
NEXT(sslcv_memory, loader, total);
NEXT(sslcv_memory, total, micro_batch);
NEXT(sslcv_memory, micro_batch, recomputed_stages);
LAST(sslcv_memory, recomputed_stages, 96);

/* method.h */
FIRST(sslcv_method_options, struct_size);
NEXT(sslcv_method_options, struct_size, dataset);
NEXT(sslcv_method_options, dataset, backbones);
NEXT(sslcv_method_options, backbones, num_backbones);
NEXT(sslcv_method_options, num_backbones, augmenter);
NEXT(sslcv_method_options, augmenter, preset);
NEXT(sslcv_method_options, preset, settings);
NEXT(sslcv_method_options, settings, checkpoint_path);
NEXT(sslcv_method_options, checkpoint_path, seed);
NEXT(sslcv_method_options, seed, resume);
NEXT(sslcv_method_options, resume, reserved);
LAST(sslcv_method_options, reserved, 80);

/* probe.h */
FIRST(sslcv_embed_options, struct_size);
NEXT(sslcv_embed_options, struct_size, dataset);
NEXT(sslcv_embed_options, dataset, augmenter);
NEXT(sslcv_embed_options, augmenter, branches);
NEXT(sslcv_embed_options, branches, num_branches);
NEXT(sslcv_embed_options, num_branches, batch_size);
NEXT(sslcv_embed_options, batch_size, first);
NEXT(sslcv_embed_options, first, count);
NEXT(sslcv_embed_options, count, seed);
NEXT(sslcv_embed_options, seed, epoch);
NEXT(sslcv_embed_options, epoch, mean_positions);
NEXT(sslcv_embed_options, mean_positions, reserved);
LAST(sslcv_embed_options, reserved, 88);

FIRST(sslcv_probe_options, struct_size);
NEXT(sslcv_probe_options, struct_size, kind);
NEXT(sslcv_probe_options, kind, standardize);
NEXT(sslcv_probe_options, standardize, neighbors);
NEXT(sslcv_probe_options, neighbors, temperature);
NEXT(sslcv_probe_options, temperature, epochs);
NEXT(sslcv_probe_options, epochs, batch_size);
NEXT(sslcv_probe_options, batch_size, learning_rate);
NEXT(sslcv_probe_options, learning_rate, weight_decay);
NEXT(sslcv_probe_options, weight_decay, momentum);
NEXT(sslcv_probe_options, momentum, seed);
NEXT(sslcv_probe_options, seed, c_first);
NEXT(sslcv_probe_options, c_first, c_last);
NEXT(sslcv_probe_options, c_last, c_count);
NEXT(sslcv_probe_options, c_count, validation);
NEXT(sslcv_probe_options, validation, iterations);
NEXT(sslcv_probe_options, iterations, tolerance);
NEXT(sslcv_probe_options, tolerance, first_spread);
NEXT(sslcv_probe_options, first_spread, larc);
NEXT(sslcv_probe_options, larc, nesterov);
NEXT(sslcv_probe_options, nesterov, figure);
LAST(sslcv_probe_options, figure, 152);

FIRST(sslcv_probe_info, struct_size);
NEXT(sslcv_probe_info, struct_size, num_classes);
NEXT(sslcv_probe_info, num_classes, dim);
NEXT(sslcv_probe_info, dim, count);
NEXT(sslcv_probe_info, count, c);
NEXT(sslcv_probe_info, c, objective);
NEXT(sslcv_probe_info, objective, validation);
NEXT(sslcv_probe_info, validation, iterations);
NEXT(sslcv_probe_info, iterations, converged);
NEXT(sslcv_probe_info, converged, reserved);
LAST(sslcv_probe_info, reserved, 72);

FIRST(sslcv_metrics, struct_size);
NEXT(sslcv_metrics, struct_size, count);
NEXT(sslcv_metrics, count, num_classes);
NEXT(sslcv_metrics, num_classes, top1);
NEXT(sslcv_metrics, top1, top5);
NEXT(sslcv_metrics, top5, mean_per_class);
NEXT(sslcv_metrics, mean_per_class, top1_low);
NEXT(sslcv_metrics, top1_low, top1_high);
LAST(sslcv_metrics, top1_high, 64);

FIRST(sslcv_figure_options, struct_size);
NEXT(sslcv_figure_options, struct_size, figure);
NEXT(sslcv_figure_options, figure, reserved);
NEXT(sslcv_figure_options, reserved, k);
NEXT(sslcv_figure_options, k, draws);
NEXT(sslcv_figure_options, draws, level);
NEXT(sslcv_figure_options, level, seed);
LAST(sslcv_figure_options, seed, 48);

FIRST(sslcv_figure_value, struct_size);
NEXT(sslcv_figure_value, struct_size, count);
NEXT(sslcv_figure_value, count, classes);
NEXT(sslcv_figure_value, classes, value);
NEXT(sslcv_figure_value, value, low);
NEXT(sslcv_figure_value, low, high);
LAST(sslcv_figure_value, high, 48);

FIRST(sslcv_spread, struct_size);
NEXT(sslcv_spread, struct_size, std);
NEXT(sslcv_spread, std, cosine);
NEXT(sslcv_spread, cosine, effective_rank);
LAST(sslcv_spread, effective_rank, 32);

FIRST(sslcv_kmeans_options, struct_size);
NEXT(sslcv_kmeans_options, struct_size, clusters);
NEXT(sslcv_kmeans_options, clusters, iterations);
NEXT(sslcv_kmeans_options, iterations, seed);
NEXT(sslcv_kmeans_options, seed, spherical);
NEXT(sslcv_kmeans_options, spherical, warm_start);
LAST(sslcv_kmeans_options, warm_start, 40);

/* onnx.h */
FIRST(sslcv_onnx_options, struct_size);
NEXT(sslcv_onnx_options, struct_size, height);
NEXT(sslcv_onnx_options, height, width);
NEXT(sslcv_onnx_options, width, batch);
NEXT(sslcv_onnx_options, batch, fold_norm);
NEXT(sslcv_onnx_options, fold_norm, opset);
NEXT(sslcv_onnx_options, opset, stream);
LAST(sslcv_onnx_options, stream, 48);
