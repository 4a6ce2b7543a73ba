-- +goose Up
CREATE TABLE packages (
  id BINARY(16) NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  name VARCHAR(100) NOT NULL,
  software_version VARCHAR(64) NOT NULL,
  client_type VARCHAR(16) NOT NULL,
  models TEXT NOT NULL,
  file_type VARCHAR(64) NOT NULL,
  size BIGINT NOT NULL,
  sha256 VARCHAR(64) NOT NULL,
  signature VARCHAR(128) NOT NULL,
  key_id VARCHAR(32) NOT NULL,
  signature_valid BOOLEAN NULL,
  min_from_version VARCHAR(64) NOT NULL,
  release_notes TEXT NOT NULL,
  state VARCHAR(16) NOT NULL,
  stored_at BIGINT NOT NULL,
  upload_until BIGINT NOT NULL,
  uploaded_by_kind VARCHAR(16) NOT NULL,
  uploaded_by_id BINARY(16) NULL,
  uploaded_by_name VARCHAR(400) NOT NULL
);
CREATE INDEX packages_created_at ON packages (created_at, id);
CREATE INDEX packages_client_type ON packages (client_type, state);

CREATE TABLE device_downloads (
  task_id BINARY(16) NOT NULL PRIMARY KEY,
  device_id BINARY(16) NOT NULL,
  package_id BINARY(16) NOT NULL,
  target_version VARCHAR(64) NOT NULL,
  notified BOOLEAN NOT NULL,
  delay_seconds INT NOT NULL,
  transferred_at BIGINT NOT NULL,
  boots INT NOT NULL,
  failures INT NOT NULL,
  reported_attempt INT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX device_downloads_device ON device_downloads (device_id);

CREATE TABLE transfer_reports (
  id BINARY(16) NOT NULL PRIMARY KEY,
  device_id BINARY(16) NOT NULL,
  command_key VARCHAR(64) NOT NULL,
  autonomous BOOLEAN NOT NULL,
  file_type VARCHAR(64) NOT NULL,
  url TEXT NOT NULL,
  fault_code INT NOT NULL,
  fault_message TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL
);
CREATE INDEX transfer_reports_device ON transfer_reports (device_id, id);
