-- +goose Up
ALTER TABLE devices ADD COLUMN waiting_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN secret_withheld BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE screens (
  device_id BINARY(16) NOT NULL PRIMARY KEY,
  fingerprint VARCHAR(64) NOT NULL,
  issuer VARCHAR(255) NOT NULL,
  noted VARCHAR(64) NOT NULL,
  noted_at BIGINT NOT NULL,
  resets INT NOT NULL,
  resets_since BIGINT NOT NULL
);

CREATE INDEX accounts_screen_serial ON accounts (screen_serial, id);
CREATE INDEX accounts_broadband_account ON accounts (broadband_account, id);
