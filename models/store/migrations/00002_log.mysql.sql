-- +goose Up
CREATE TABLE events (
  n BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  position BIGINT NULL,
  id BINARY(16) NOT NULL,
  type VARCHAR(40) NOT NULL,
  occurred_at BIGINT NOT NULL,
  subject_kind VARCHAR(24) NOT NULL,
  subject_id BINARY(16) NOT NULL,
  subject_version BIGINT NOT NULL,
  payload TEXT NOT NULL,
  account_id BINARY(16) NULL,
  account_external_id VARCHAR(128) NOT NULL,
  device_id BINARY(16) NULL,
  client_type VARCHAR(16) NOT NULL,
  region VARCHAR(64) NOT NULL,
  actor_kind VARCHAR(16) NOT NULL,
  actor_id BINARY(16) NULL,
  actor_name VARCHAR(400) NOT NULL,
  on_behalf_of VARCHAR(64) NOT NULL,
  request_id VARCHAR(64) NOT NULL
);
CREATE UNIQUE INDEX events_position ON events (position);
CREATE INDEX events_account ON events (account_id, position);
CREATE INDEX events_device ON events (device_id, position);
CREATE INDEX events_subject ON events (subject_id, position);
CREATE INDEX events_id ON events (id);

CREATE TABLE audit_entries (
  n BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  sequence BIGINT NULL,
  id BINARY(16) NOT NULL,
  at BIGINT NOT NULL,
  actor_kind VARCHAR(16) NOT NULL,
  actor_id BINARY(16) NULL,
  actor_name VARCHAR(400) NOT NULL,
  on_behalf_of VARCHAR(64) NOT NULL,
  action VARCHAR(64) NOT NULL,
  subject_kind VARCHAR(24) NOT NULL,
  subject_id BINARY(16) NULL,
  outcome VARCHAR(16) NOT NULL,
  error_code VARCHAR(32) NOT NULL,
  changes TEXT NOT NULL,
  remote_address VARCHAR(64) NOT NULL,
  request_id VARCHAR(64) NOT NULL,
  previous_hash BINARY(32) NULL,
  hash BINARY(32) NULL
);
CREATE UNIQUE INDEX audit_entries_sequence ON audit_entries (sequence);
CREATE INDEX audit_entries_subject ON audit_entries (subject_id);

CREATE TABLE log_head (
  id INT NOT NULL PRIMARY KEY,
  epoch BIGINT NOT NULL,
  position BIGINT NOT NULL,
  audit_sequence BIGINT NOT NULL,
  audit_hash BINARY(32) NOT NULL
);
INSERT INTO log_head (id, epoch, position, audit_sequence, audit_hash) VALUES (1, 1, 0, 0, X'0000000000000000000000000000000000000000000000000000000000000000');
