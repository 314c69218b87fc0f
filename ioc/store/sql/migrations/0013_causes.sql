-- Why a feed's last poll failed, as a code with values (ioc/causes.py); last_error is what the program said of it. Frozen once shipped.
ALTER TABLE connector_cursor ADD COLUMN last_cause text NOT NULL DEFAULT '';
