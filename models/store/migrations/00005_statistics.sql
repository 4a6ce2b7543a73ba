-- +goose Up
CREATE TABLE statistics_reports (
  device_id BINARY(16) NOT NULL,
  boot_id VARCHAR(32) NOT NULL,
  seq BIGINT NOT NULL,
  previous_seq BIGINT NOT NULL,
  account_id BINARY(16) NULL,
  received_at BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  frequent BOOLEAN NOT NULL,
  hash BINARY(32) NOT NULL,
  flags VARCHAR(255) NOT NULL,
  counters TEXT NOT NULL,
  deltas TEXT NOT NULL,
  gauges TEXT NOT NULL,
  raw TEXT NOT NULL,
  PRIMARY KEY (device_id, boot_id, seq)
);
CREATE UNIQUE INDEX statistics_reports_chain ON statistics_reports (device_id, boot_id, previous_seq);
CREATE INDEX statistics_reports_device ON statistics_reports (device_id, ended_at);
CREATE INDEX statistics_reports_account ON statistics_reports (account_id, ended_at);
CREATE INDEX statistics_reports_recent ON statistics_reports (device_id, received_at);
CREATE INDEX statistics_reports_received ON statistics_reports (received_at);
CREATE INDEX statistics_reports_due ON statistics_reports (due_at);

CREATE TABLE statistics_refusals (
  device_id BINARY(16) NOT NULL,
  received_at BIGINT NOT NULL,
  parameter VARCHAR(64) NOT NULL,
  raw TEXT NOT NULL,
  PRIMARY KEY (device_id, received_at)
);
CREATE INDEX statistics_refusals_received ON statistics_refusals (received_at);

CREATE TABLE fixed_settings (
  name VARCHAR(64) NOT NULL PRIMARY KEY,
  value VARCHAR(255) NOT NULL
);
