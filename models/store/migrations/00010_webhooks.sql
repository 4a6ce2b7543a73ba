-- +goose Up
CREATE TABLE webhooks (
  id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  created_by_kind VARCHAR(16) NOT NULL,
  created_by_id BINARY(16) NULL,
  created_by_name VARCHAR(400) NOT NULL,
  url VARCHAR(2048) NOT NULL,
  url_key BINARY(32) NOT NULL,
  types TEXT NOT NULL,
  filter TEXT NOT NULL,
  secret BLOB NOT NULL,
  previous_secret BLOB NULL,
  previous_until BIGINT NOT NULL,
  enabled BOOLEAN NOT NULL,
  acked_cursor VARCHAR(64) NOT NULL,
  consecutive_failures BIGINT NOT NULL,
  failing_since BIGINT NOT NULL,
  next_attempt_at BIGINT NOT NULL,
  last_error VARCHAR(255) NOT NULL,
  given_up BOOLEAN NOT NULL,
  attempts BIGINT NOT NULL,
  lease_until BIGINT NOT NULL,
  fence BIGINT NOT NULL
);
CREATE UNIQUE INDEX webhooks_url_key ON webhooks (url_key);
CREATE INDEX webhooks_created_by ON webhooks (created_by_id);

CREATE TABLE webhook_deliveries (
  id BINARY(16) NOT NULL PRIMARY KEY,
  webhook_id BINARY(16) NOT NULL,
  n BIGINT NOT NULL,
  log_cursor VARCHAR(64) NOT NULL,
  events INT NOT NULL,
  attempt BIGINT NOT NULL,
  status_code INT NOT NULL,
  error VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL
);
CREATE UNIQUE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, n);
