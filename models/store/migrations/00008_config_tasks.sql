-- +goose Up
ALTER TABLE configurations ADD COLUMN device_layer MEDIUMBLOB NULL;
ALTER TABLE configurations ADD COLUMN mirrored BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE configurations ADD COLUMN sample_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE configurations ADD COLUMN drift_day BIGINT NOT NULL DEFAULT 0;
ALTER TABLE configurations ADD COLUMN drifts INT NOT NULL DEFAULT 0;
ALTER TABLE configurations ADD COLUMN drifting BOOLEAN NOT NULL DEFAULT FALSE;

ALTER TABLE tasks ADD COLUMN config_task_id BINARY(16) NULL;
ALTER TABLE tasks ADD COLUMN config_version BIGINT NOT NULL DEFAULT 0;
CREATE INDEX tasks_config ON tasks (config_task_id, state);
CREATE INDEX tasks_config_created ON tasks (config_task_id, created_at, id);

CREATE TABLE config_tasks (
  id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  name VARCHAR(128) NOT NULL,
  layer MEDIUMBLOB NULL,
  shown TEXT NOT NULL,
  filter TEXT NOT NULL,
  matched BIGINT NOT NULL,
  per_minute INT NOT NULL,
  state VARCHAR(32) NOT NULL,
  next_at BIGINT NOT NULL,
  completed_at BIGINT NOT NULL,
  created_by_kind VARCHAR(16) NOT NULL,
  created_by_id BINARY(16) NULL,
  created_by_name VARCHAR(400) NOT NULL
);
CREATE INDEX config_tasks_created ON config_tasks (created_at, id);
CREATE INDEX config_tasks_state ON config_tasks (state, next_at);

CREATE TABLE config_targets (
  config_task_id BINARY(16) NOT NULL,
  device_id BINARY(16) NOT NULL,
  state VARCHAR(16) NOT NULL,
  PRIMARY KEY (config_task_id, device_id)
);
CREATE INDEX config_targets_state ON config_targets (config_task_id, state, device_id);

ALTER TABLE device_presence ADD COLUMN line_at BIGINT NOT NULL DEFAULT 0;

CREATE TABLE line_registrations (
  device_id BINARY(16) NOT NULL,
  line_index INT NOT NULL,
  status VARCHAR(16) NOT NULL,
  since BIGINT NOT NULL,
  sip_status INT NOT NULL,
  reason VARCHAR(128) NOT NULL,
  answered_at BIGINT NOT NULL,
  reported_at BIGINT NOT NULL,
  PRIMARY KEY (device_id, line_index)
);

CREATE TABLE device_objects (
  device_id BINARY(16) NOT NULL,
  object VARCHAR(256) NOT NULL,
  instance BIGINT NOT NULL,
  known TEXT NOT NULL,
  tries INT NOT NULL,
  tried_at BIGINT NOT NULL,
  PRIMARY KEY (device_id, object)
);

CREATE TABLE unsupported_methods (
  product_class VARCHAR(64) NOT NULL,
  software_version VARCHAR(64) NOT NULL,
  method VARCHAR(64) NOT NULL,
  learned_at BIGINT NOT NULL,
  PRIMARY KEY (product_class, software_version, method)
);
