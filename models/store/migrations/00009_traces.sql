-- +goose Up
ALTER TABLE devices ADD COLUMN trace_until BIGINT NOT NULL DEFAULT 0;

CREATE TABLE traces (
  id BINARY(16) NOT NULL PRIMARY KEY,
  device_id BINARY(16) NOT NULL,
  started_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  messages INT NOT NULL
);
CREATE INDEX traces_device ON traces (device_id, id);
CREATE INDEX traces_started ON traces (started_at);

CREATE TABLE cwmp_sessions (
  id BINARY(16) NOT NULL PRIMARY KEY,
  device_id BINARY(16) NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  events TEXT NOT NULL,
  outcome VARCHAR(32) NOT NULL,
  remote_address VARCHAR(64) NOT NULL
);
CREATE INDEX cwmp_sessions_device ON cwmp_sessions (device_id, started_at, id);
CREATE INDEX cwmp_sessions_started ON cwmp_sessions (started_at);

CREATE TABLE cwmp_messages (
  session_id BINARY(16) NOT NULL,
  n INT NOT NULL,
  at BIGINT NOT NULL,
  from_device BOOLEAN NOT NULL,
  method VARCHAR(64) NOT NULL,
  body MEDIUMTEXT NOT NULL,
  PRIMARY KEY (session_id, n)
);

ALTER TABLE device_parameters ADD COLUMN notification INT NULL;
