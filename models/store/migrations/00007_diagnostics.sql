-- +goose Up
CREATE TABLE diagnostics (
  id BINARY(16) NOT NULL PRIMARY KEY,
  device_id BINARY(16) NOT NULL,
  kind VARCHAR(24) NOT NULL,
  state VARCHAR(16) NOT NULL,
  task_id VARCHAR(64) NOT NULL,
  unsolicited BOOLEAN NOT NULL,
  inputs TEXT NOT NULL,
  dropped TEXT NOT NULL,
  attempts INT NOT NULL,
  restarts INT NOT NULL,
  readings INT NOT NULL,
  unanswered BOOLEAN NOT NULL,
  sent_epoch BIGINT NOT NULL,
  read_epoch BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  sent_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  completed_at BIGINT NOT NULL,
  error_state VARCHAR(64) NOT NULL,
  fault TEXT NOT NULL,
  result TEXT NOT NULL,
  created_by_kind VARCHAR(16) NOT NULL,
  created_by_id BINARY(16) NULL,
  created_by_name VARCHAR(400) NOT NULL
);
CREATE INDEX diagnostics_device ON diagnostics (device_id, created_at, id);
CREATE INDEX diagnostics_open ON diagnostics (device_id, state);
CREATE INDEX diagnostics_expiry ON diagnostics (state, expires_at);
CREATE INDEX diagnostics_completed ON diagnostics (completed_at);
