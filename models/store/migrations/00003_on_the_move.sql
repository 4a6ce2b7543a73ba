-- +goose Up
ALTER TABLE accounts ADD COLUMN terminated_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX accounts_bound_mobile ON accounts (bound_mobile, id);

CREATE TABLE account_suspensions (
  account_id BINARY(16) NOT NULL,
  reason VARCHAR(32) NOT NULL,
  since BIGINT NOT NULL,
  by_kind VARCHAR(16) NOT NULL,
  by_id BINARY(16) NULL,
  by_name VARCHAR(400) NOT NULL,
  note VARCHAR(255) NOT NULL,
  PRIMARY KEY (account_id, reason)
);

ALTER TABLE devices ADD COLUMN must_change_password BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE devices ADD COLUMN logout_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN logout_reason VARCHAR(32) NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN reachability_at BIGINT NOT NULL DEFAULT 0;

ALTER TABLE device_presence ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE device_presence ADD COLUMN deferred_to BIGINT NOT NULL DEFAULT 0;
CREATE INDEX device_presence_expires_at ON device_presence (expires_at, device_id);

CREATE TABLE reachability_changes (
  id BINARY(16) NOT NULL PRIMARY KEY,
  device_id BINARY(16) NOT NULL,
  at BIGINT NOT NULL,
  state VARCHAR(16) NOT NULL,
  previous_state VARCHAR(16) NOT NULL,
  reason VARCHAR(32) NOT NULL,
  login_session_id VARCHAR(32) NOT NULL,
  duration_seconds BIGINT NOT NULL
);
CREATE INDEX reachability_changes_device ON reachability_changes (device_id, at, id);
CREATE INDEX reachability_changes_at ON reachability_changes (at);

CREATE TABLE beats (
  name VARCHAR(32) NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  frozen_at BIGINT NOT NULL
);

CREATE TABLE outages (
  ended_at BIGINT NOT NULL PRIMARY KEY,
  began_at BIGINT NOT NULL
);

CREATE TABLE mobile_identities (
  device_id BINARY(16) NOT NULL PRIMARY KEY,
  mdn VARCHAR(15) NOT NULL,
  imsi BLOB NULL,
  method VARCHAR(24) NOT NULL,
  identified_at BIGINT NOT NULL
);

CREATE TABLE used_tokens (
  hash BINARY(32) NOT NULL PRIMARY KEY,
  until BIGINT NOT NULL
);
CREATE INDEX used_tokens_until ON used_tokens (until);

CREATE TABLE asserted_numbers (
  nonce VARCHAR(32) NOT NULL PRIMARY KEY,
  mdn VARCHAR(15) NOT NULL,
  until BIGINT NOT NULL
);
CREATE INDEX asserted_numbers_until ON asserted_numbers (until);

ALTER TABLE credentials ADD COLUMN failures INT NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN repeat_until BIGINT NOT NULL DEFAULT 0;

CREATE TABLE password_changes (
  id BINARY(16) NOT NULL PRIMARY KEY,
  device_key VARCHAR(400) NOT NULL,
  request_id VARCHAR(32) NOT NULL,
  account_id BINARY(16) NOT NULL,
  status VARCHAR(32) NOT NULL,
  salt BINARY(16) NULL,
  iterations INT NOT NULL,
  stored_key BLOB NULL,
  server_key BLOB NULL,
  created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX password_changes_request ON password_changes (device_key, request_id);
CREATE INDEX password_changes_account ON password_changes (account_id, created_at);

ALTER TABLE lockouts ADD COLUMN account_id BINARY(16) NULL;
CREATE INDEX lockouts_account ON lockouts (account_id);

ALTER TABLE sms_messages ADD COLUMN provider_id VARCHAR(65) NOT NULL DEFAULT '';
CREATE INDEX sms_messages_provider ON sms_messages (provider_id);

CREATE TABLE root_keys (
  id BINARY(16) NOT NULL PRIMARY KEY,
  purpose VARCHAR(32) NOT NULL,
  secret BLOB NOT NULL
);
CREATE UNIQUE INDEX root_keys_purpose ON root_keys (purpose);

CREATE TABLE deed_secrets (
  id BINARY(16) NOT NULL PRIMARY KEY,
  secret BLOB NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX deed_secrets_created_at ON deed_secrets (created_at);
