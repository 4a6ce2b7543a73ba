-- +goose Up
CREATE TABLE accounts (
  id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  external_id VARCHAR(128) NOT NULL,
  state VARCHAR(16) NOT NULL,
  state_reason VARCHAR(255) NOT NULL,
  state_changed_at BIGINT NOT NULL,
  msisdn VARCHAR(15) NOT NULL,
  live_msisdn VARCHAR(15) NULL,
  impi VARCHAR(255) NOT NULL,
  impu TEXT NOT NULL,
  display_name VARCHAR(255) NOT NULL,
  region VARCHAR(64) NOT NULL,
  sip_password BLOB NULL,
  sip_secret_source VARCHAR(16) NOT NULL,
  bound_mobile VARCHAR(15) NOT NULL,
  imsi BLOB NULL,
  broadband_account VARCHAR(64) NOT NULL,
  screen_serial VARCHAR(64) NOT NULL,
  client_types TEXT NOT NULL,
  services TEXT NOT NULL,
  max_devices INT NOT NULL
);
CREATE UNIQUE INDEX accounts_external_id ON accounts (external_id);
CREATE UNIQUE INDEX accounts_live_msisdn ON accounts (live_msisdn);
CREATE INDEX accounts_msisdn ON accounts (msisdn, id);
CREATE INDEX accounts_created_at ON accounts (created_at, id);
CREATE INDEX accounts_updated_at ON accounts (updated_at, id);

CREATE TABLE account_impus (
  impu VARCHAR(255) NOT NULL PRIMARY KEY,
  account_id BINARY(16) NOT NULL
);
CREATE INDEX account_impus_account ON account_impus (account_id);

CREATE TABLE devices (
  id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  device_key VARCHAR(400) NOT NULL,
  oui VARCHAR(6) NOT NULL,
  product_class VARCHAR(64) NOT NULL,
  serial_number VARCHAR(64) NOT NULL,
  manufacturer VARCHAR(64) NOT NULL,
  model VARCHAR(64) NOT NULL,
  client_type VARCHAR(16) NOT NULL,
  tags TEXT NOT NULL,
  stock_state VARCHAR(16) NOT NULL,
  registered BOOLEAN NOT NULL,
  software_version VARCHAR(64) NOT NULL,
  hardware_version VARCHAR(64) NOT NULL,
  os_version VARCHAR(64) NOT NULL,
  legacy_auth BOOLEAN NOT NULL,
  http_username VARCHAR(400) NOT NULL,
  http_credentials BLOB NULL,
  revoked BOOLEAN NOT NULL,
  reauth_required BOOLEAN NOT NULL,
  account_id BINARY(16) NULL,
  account_state VARCHAR(16) NOT NULL,
  region VARCHAR(64) NOT NULL,
  reachability VARCHAR(16) NOT NULL,
  desired_version BIGINT NOT NULL,
  confirmed_version BIGINT NOT NULL,
  work_at BIGINT NOT NULL,
  session_epoch BIGINT NOT NULL,
  heartbeat_seconds INT NOT NULL,
  login_session_id VARCHAR(32) NOT NULL,
  login_at BIGINT NOT NULL,
  report_hash BIGINT NOT NULL
);
CREATE UNIQUE INDEX devices_device_key ON devices (device_key);
CREATE INDEX devices_serial_number ON devices (serial_number, id);
CREATE INDEX devices_created_at ON devices (created_at, id);
CREATE INDEX devices_account ON devices (account_id);

CREATE TABLE device_presence (
  device_id BINARY(16) NOT NULL PRIMARY KEY,
  last_inform_at BIGINT NOT NULL,
  last_boot_at BIGINT NOT NULL,
  ip_address VARCHAR(45) NOT NULL,
  clock_skew_seconds BIGINT NOT NULL
);
CREATE INDEX device_presence_last_inform_at ON device_presence (last_inform_at, device_id);

CREATE TABLE device_parameters (
  device_id BINARY(16) NOT NULL,
  path VARCHAR(256) NOT NULL,
  value TEXT NOT NULL,
  type VARCHAR(32) NOT NULL,
  writable BOOLEAN NULL,
  reported_at BIGINT NOT NULL,
  PRIMARY KEY (device_id, path)
);

CREATE TABLE bindings (
  id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  account_id BINARY(16) NOT NULL,
  device_id BINARY(16) NOT NULL,
  live_device_id BINARY(16) NULL,
  client_type VARCHAR(16) NOT NULL,
  state VARCHAR(16) NOT NULL,
  line_index INT NOT NULL,
  bound_at BIGINT NOT NULL,
  confirmed_at BIGINT NOT NULL,
  unbound_at BIGINT NOT NULL,
  method VARCHAR(24) NOT NULL,
  bound_by_kind VARCHAR(16) NOT NULL,
  bound_by_id BINARY(16) NULL,
  bound_by_name VARCHAR(400) NOT NULL
);
CREATE UNIQUE INDEX bindings_live_device ON bindings (live_device_id);
CREATE INDEX bindings_account ON bindings (account_id, id);
CREATE INDEX bindings_device ON bindings (device_id, id);

CREATE TABLE tasks (
  id BINARY(16) NOT NULL PRIMARY KEY,
  device_id BINARY(16) NOT NULL,
  kind VARCHAR(24) NOT NULL,
  state VARCHAR(16) NOT NULL,
  request BLOB NOT NULL,
  shown MEDIUMTEXT NOT NULL,
  result MEDIUMTEXT NOT NULL,
  fault TEXT NOT NULL,
  attempts INT NOT NULL,
  next_at BIGINT NOT NULL,
  sent_epoch BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  sent_at BIGINT NOT NULL,
  completed_at BIGINT NOT NULL,
  created_by_kind VARCHAR(16) NOT NULL,
  created_by_id BINARY(16) NULL,
  created_by_name VARCHAR(400) NOT NULL
);
CREATE INDEX tasks_device ON tasks (device_id, id);
CREATE INDEX tasks_state ON tasks (state, device_id);

CREATE TABLE configurations (
  device_id BINARY(16) NOT NULL PRIMARY KEY,
  desired_version BIGINT NOT NULL,
  desired MEDIUMBLOB NULL,
  applied_version BIGINT NOT NULL,
  applied MEDIUMBLOB NULL,
  sent_version BIGINT NOT NULL,
  state VARCHAR(16) NOT NULL,
  failure VARCHAR(512) NOT NULL,
  attempts INT NOT NULL,
  next_at BIGINT NOT NULL,
  failed_firmware VARCHAR(64) NOT NULL,
  changed_at BIGINT NOT NULL
);

CREATE TABLE unsupported_parameters (
  product_class VARCHAR(64) NOT NULL,
  software_version VARCHAR(64) NOT NULL,
  name VARCHAR(256) NOT NULL,
  learned_at BIGINT NOT NULL,
  PRIMARY KEY (product_class, software_version, name)
);

CREATE TABLE credentials (
  id BINARY(16) NOT NULL PRIMARY KEY,
  account_id BINARY(16) NOT NULL,
  kind VARCHAR(16) NOT NULL,
  stored_key BLOB NOT NULL,
  server_key BLOB NOT NULL,
  device_key VARCHAR(400) NOT NULL,
  binding_id BINARY(16) NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX credentials_account_kind ON credentials (account_id, kind);

CREATE TABLE password_salts (
  account_id BINARY(16) NOT NULL PRIMARY KEY,
  salt BINARY(16) NOT NULL,
  iterations INT NOT NULL
);

CREATE TABLE password_requests (
  device_key VARCHAR(400) NOT NULL,
  request_id VARCHAR(32) NOT NULL,
  number_hash BINARY(32) NOT NULL,
  mdn_hash BINARY(32) NULL,
  account_id BINARY(16) NULL,
  status VARCHAR(32) NOT NULL,
  retry_after INT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (device_key, request_id)
);
CREATE INDEX password_requests_number ON password_requests (number_hash, created_at);
CREATE INDEX password_requests_mdn ON password_requests (mdn_hash, created_at);
CREATE INDEX password_requests_device ON password_requests (device_key, created_at);

CREATE TABLE lockouts (
  scope VARCHAR(16) NOT NULL,
  subject BINARY(32) NOT NULL,
  failures INT NOT NULL,
  window_start BIGINT NOT NULL,
  locked_until BIGINT NOT NULL,
  level INT NOT NULL,
  PRIMARY KEY (scope, subject)
);

CREATE TABLE client_nonces (
  number_hash BINARY(32) NOT NULL,
  nonce VARCHAR(32) NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (number_hash, nonce)
);
CREATE INDEX client_nonces_until ON client_nonces (until);

CREATE TABLE sms_messages (
  id BINARY(16) NOT NULL PRIMARY KEY,
  account_id BINARY(16) NULL,
  region VARCHAR(64) NOT NULL,
  recipient VARCHAR(15) NOT NULL,
  body BLOB NULL,
  purpose VARCHAR(16) NOT NULL,
  state VARCHAR(16) NOT NULL,
  provider_status VARCHAR(64) NOT NULL,
  attempts INT NOT NULL,
  queued_at BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  submitted_at BIGINT NOT NULL,
  final_at BIGINT NOT NULL
);
CREATE INDEX sms_messages_state ON sms_messages (state, next_at);
CREATE INDEX sms_messages_account ON sms_messages (account_id, id);

CREATE TABLE roles (
  id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  name VARCHAR(64) NOT NULL,
  permissions TEXT NOT NULL,
  regions TEXT NOT NULL
);
CREATE UNIQUE INDEX roles_name ON roles (name);

CREATE TABLE operators (
  id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  username VARCHAR(64) NOT NULL,
  password_hash VARCHAR(255) NOT NULL,
  role_ids TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  failures INT NOT NULL,
  locked_until BIGINT NOT NULL,
  last_login_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX operators_username ON operators (username);

CREATE TABLE api_clients (
  id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  client_id VARCHAR(64) NOT NULL,
  secret_hash BINARY(32) NULL,
  previous_secret_hash BINARY(32) NULL,
  previous_until BIGINT NOT NULL,
  role_ids TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  allowed_cidrs TEXT NOT NULL,
  trusted_documents_only BOOLEAN NOT NULL,
  points_per_minute INT NOT NULL
);
CREATE UNIQUE INDEX api_clients_client_id ON api_clients (client_id);

CREATE TABLE operator_sessions (
  token_hash BINARY(32) NOT NULL PRIMARY KEY,
  family BINARY(16) NOT NULL,
  operator_id BINARY(16) NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  rotated_at BIGINT NOT NULL,
  revoked_at BIGINT NOT NULL
);
CREATE INDEX operator_sessions_family ON operator_sessions (family);
CREATE INDEX operator_sessions_operator ON operator_sessions (operator_id);

CREATE TABLE deeds (
  actor_id BINARY(16) NOT NULL,
  mutation VARCHAR(64) NOT NULL,
  idempotency_key VARCHAR(128) NOT NULL,
  input_hash BINARY(32) NOT NULL,
  result TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (actor_id, mutation, idempotency_key)
);
CREATE INDEX deeds_created_at ON deeds (created_at);
