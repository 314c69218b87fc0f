"""One province in one file: `config.yaml`. Every option has a default and a sentence; the environment overrides.

`${NAME}` and `${NAME:-default}` in a text value are taken from the environment; secrets belong there, never in the
file. `IOC_DATABASE__DSN`, `IOC_BROKER__BOOTSTRAP`, ... (a double underscore between levels) override the file.
"""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ioc.errors import UserError
from ioc.rights import PersonRole

DEFAULT_PATH = Path("config.yaml")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
FEED_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Model):
    """A text in the languages of the screens."""

    vi: str
    en: str


class Group(_Model):
    """Communes that are read together, such as what one of the former cities was."""

    group: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$", description="Name of the group, where a commune's code can stand.")
    title: Words
    communes: list[str] = Field(min_length=1, description="Codes of its communes.")


class Province(_Model):
    code: str = Field("19", description="Two-digit code of the province (text: leading zeros count).")
    name: Words = Words(vi="Thái Nguyên", en="Thai Nguyen")
    valid_from: date = Field(date(2025, 7, 1), description="Since when the units' codes mean what they mean today.")
    boundaries: Path | None = Field(None, description="GeoJSON of commune shapes (properties.code); without it the map draws cells around the published centroids and says 'approximate'.")
    groups: list[Group] = Field(default_factory=list, description="Groups of communes that every KPI can be asked of.")


class Database(_Model):
    dsn: str = Field("postgresql://ioc@127.0.0.1:5432/ioc", description="PostgreSQL 15 or newer, best with TimescaleDB.")
    pool_max: int = Field(8, ge=1, le=100, description="Connections one process may hold.")


class Broker(_Model):
    bootstrap: str = Field("127.0.0.1:9092", description="host:port[,host:port] of the Kafka brokers.")
    kind: Literal["kafka", "embedded"] = Field("kafka", description="'embedded' is the memory-only broker of `make up`: for trying out.")
    partitions: int = Field(4, ge=1, le=1000, description="Partitions of a new topic; several ingest processes share them.")
    replication: int = Field(1, ge=1, le=9, description="Copies of a new topic.")
    prefix: str = Field("ioc", pattern=r"[a-z0-9][a-z0-9-]*", description="Topics are PREFIX.FEED and PREFIX.dead-letters.")
    group: str = Field("ioc-ingest", description="Consumer group of ingest.")
    security: dict[str, str] = Field(default_factory=dict, description="kafka-python options for TLS and SASL, e.g. security_protocol, ssl_cafile, sasl_mechanism.")

    @field_validator("bootstrap", mode="before")
    @classmethod
    def _join(cls, value: Any) -> Any:
        return ",".join(value) if isinstance(value, list) else value


class Ingest(_Model):
    batch: int = Field(20_000, ge=1, le=50_000, description="Most records one database transaction takes; only ingest that is behind takes so many.")
    linger_ms: int = Field(100, ge=1, le=10_000, description="How long the broker may wait for more records.")


class Oidc(_Model):
    """Signing in by OpenID Connect: authorization code with PKCE, everything else by the provider's discovery document."""

    issuer: str = Field(pattern=r"^(https://|http://(127\.0\.0\.1|localhost)[:/])", description="The provider's issuer, as its discovery document says it; https.")
    client_id: str
    secret: str | None = Field(None, description="Name of the secret (environment variable or file in secrets_dir); without one the client is public.")
    title: Words = Words(vi="Đăng nhập bằng tài khoản cơ quan", en="Sign in with the agency's account")
    scope: str = Field("openid profile", description="What is asked of the provider.")
    name_claim: str = Field("preferred_username", description="The claim an account is named by.")
    roles_claim: str = Field("roles", description="The claim with the roles or groups; dots go into it: realm_access.roles.")
    roles: dict[str, PersonRole] = Field(description="Which value of that claim makes which role; the highest counts. Who has none is not let in.")
    clock_skew_s: int = Field(60, ge=0, le=600, description="How far the provider's clock may be off.")

    @field_validator("scope")
    @classmethod
    def _openid(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("must contain openid")
        return value


class Web(_Model):
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 behind a firewall or proxy.")
    port: int = Field(8050, ge=1, le=65535)
    origins: list[str] = Field(default_factory=list, description="Other origins allowed to open the websocket (behind a proxy that renames the host).")
    public: bool = Field(True, description="Everybody may look (screens, numbers, exports); what changes something asks for an account in any case. false: people sign in, screens need `ioc token create NAME --role screen`.")
    url: str = Field("", description="The address people type, behind a proxy, such as https://ioc.example.gov.vn; links that are printed or sent begin with it.")
    trusted_proxies: list[str] = Field(default_factory=lambda: ["127.0.0.1", "::1"], description="Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.")
    session_idle_min: int = Field(30, ge=1, le=1440, description="A session ends after so many minutes without a request and without an open page.")
    session_hours: int = Field(12, ge=1, le=168, description="A session ends after so many hours in any case: a shift.")
    oidc: Oidc | None = Field(None, description="People may sign in at this OpenID provider, too.")
    playbacks: int = Field(4, ge=0, le=100, description="Screens that may look back (/wall?at=...) at the same time on one web process; 0 for none.")
    push_interval_s: float = Field(0.5, ge=0.05, le=60, description="At most one evaluation and one push in this time.")


_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$"


class Smtp(_Model):
    """The server letters are handed to."""

    host: str
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="'tls' from the first byte (port 465), 'none' for a server on this machine only.")
    user: str = Field("", description="Whom to sign in as; empty: nobody.")
    secret: str | None = Field(None, description="Name of the secret (environment variable or file in secrets_dir) with the password.")
    sender: str = Field(pattern=_ADDRESS, description="The address letters come from.")

    @model_validator(mode="after")
    def _whole(self) -> Smtp:
        if bool(self.user) != bool(self.secret):
            raise ValueError("user and secret (the name of the password's secret) go together")
        return self


class Brief(_Model):
    """The morning brief as a letter, once a day."""

    at: str = Field("06:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="When, the province's time.")
    to: list[Annotated[str, Field(pattern=_ADDRESS)]] = Field(min_length=1, description="Who gets it; all see one another's address.")
    language: Literal["vi", "en"] | None = Field(None, description="The letter's language; that of the screens by default.")
    smtp: Smtp

    @field_validator("at", mode="before")
    @classmethod
    def _clock(cls, value: Any) -> Any:
        return f"{value // 60:02d}:{value % 60:02d}" if isinstance(value, int) else value  # YAML reads 10:30 without quotes as 630


class Simulator(_Model):
    host: str = Field("127.0.0.1", description="Address to listen on; with another than this machine's own, faults cannot be set over HTTP.")
    port: int = Field(8051, ge=1, le=65535)
    rate: float = Field(2.0, gt=0, le=10_000, description="Events a second, averaged over the day.")
    speed: float = Field(1.0, gt=0, le=10_000, description="How much faster than real time the simulated day runs.")
    seed: int = Field(19, description="The same seed gives the same day.")
    push_url: str = Field("", description="Where sources that post their events find us, for example http://127.0.0.1:8050; empty: they post nothing. The token is the secret SIMULATOR_TOKEN.")
    rhythm: Literal["province", "steady"] = Field("province", description="'steady': no nights, Sundays, holidays or seasons; the rate is the same at any time (benchmarks, demos on a Sunday).")


POLL_GRACE_S = 5.0  # beyond its cadence a feed may be silent so long: for the poll itself and the way through the broker


class Feed(_Model):
    """One source: which connector reads it, from where, how often."""

    feed: str = Field(description="Name; also the topic (ioc.<feed>).")
    connector: str = Field(description="Folder in connectors/, 'push' for a source that posts CloudEvents itself, or 'entry' for figures typed by people.")
    title: Words
    enabled: bool = True
    url: str = ""
    cadence_s: float = Field(60, gt=0, description="How often the source is asked; the screen greys a feed that is silent for longer.")
    late_window_days: int = Field(60, ge=0, description="How far back late and corrected records are accepted.")
    retention_days: int = Field(1095, ge=1, description="How long raw events are kept.")
    geography: Literal["current", "former"] = Field("current", description="'former': the source still sends commune codes from before 1 July 2025.")
    timezone: str = Field("Asia/Ho_Chi_Minh", description="Zone of times the source writes without one.")
    allowed_hosts: list[str] = Field(default_factory=list, description="Hosts this feed may talk to besides the one in url.")
    secret: str | None = Field(None, description="Name of the secret (environment variable or file in secrets_dir) sent as bearer token; a password where url names a user.")
    host_key: str = Field("", description="For sftp: the key by which the server is known, for example 'ssh-ed25519 AAAA...'; without it, or with another, nothing is read and the server's key is told.")
    rate_per_s: float = Field(20, gt=0, description="Most requests a second.")
    timeout_s: float = Field(10, gt=0, le=600)
    max_response_bytes: int = Field(32_000_000, ge=1000)
    options: dict[str, Any] = Field(default_factory=dict, description="The connector's own options; see its README.")

    @field_validator("feed")
    @classmethod
    def _slug(cls, value: str) -> str:
        if not FEED_NAME.fullmatch(value) or len(value) > 60 or value == "dead-letters":
            raise ValueError(f"{value!r} cannot be a feed's name; use small letters, digits and single dashes")
        return value


class Kpis(_Model):
    catalogue: Path = Field(Path("dashboards/catalogue"), description="Folder of the KPI catalogue.")
    use: list[str] | Literal["all"] = Field("all", description="Which KPIs are evaluated.")
    targets: dict[str, float] = Field(default_factory=dict, description="This province's targets, by KPI.")


class Dimming(_Model):
    """The wall at night: darker, for eyes and for the panels."""

    hours: str = Field("22:00-05:30", pattern=r"^([01]\d|2[0-4]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d$", description="From-to, the province's time; may go over midnight.")
    level: float = Field(0.6, ge=0.2, le=1, description="Brightness meanwhile; 1 turns dimming off.")


class Scenes(_Model):
    folder: Path = Field(Path("dashboards/scenes"), description="Folder of the scenes, one YAML file each.")
    use: list[str] = Field(default_factory=lambda: ["overview"], description="The scenes /wall shows, in this order.")
    dwell_s: float = Field(30, ge=5, le=86_400, description="How long a scene stays before the next one comes.")
    viewing_distance_m: float | None = Field(None, gt=0.3, le=50, description="From where the wall is read. Where a whole scene has no room for letters of that size it comes in parts. Without it letters are as large as a whole scene has room for.")
    pixel_pitch_mm: float = Field(0.634, gt=0.05, le=20, description="Distance of two pixels of the wall; 0.634 for a 55-inch panel of 1920 pixels.")
    dimming: Dimming = Dimming()


class Camera(_Model):
    """A camera whose still the wall may show."""

    camera: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60, description="Its name; scenes use it.")
    title: Words
    url: str = Field(pattern=r"^https?://", description="Address of its newest still, JPEG or PNG. A clock that the camera draws into the picture hides that it is frozen: ask for one without.")
    secret: str | None = Field(None, description="Name of the secret (environment variable or file in secrets_dir) sent as bearer token.")
    asset: str | None = Field(None, pattern=r"^[a-z0-9-]+/[^/]+$", description="The same camera on the map, FEED/SUBJECT such as cameras/CAM-001: while its picture stands still the map says so.")


class Stills(_Model):
    """Stills of cameras on the wall: fetched while somebody watches, held in memory, never stored."""

    cameras: list[Camera] = Field(default_factory=list, max_length=24)
    every_s: float = Field(2, ge=0.5, le=60, description="How often each is asked.")
    frozen_s: float = Field(10, ge=2, le=600, description="A picture that is the same for so long is marked as frozen.")
    max_bytes: int = Field(1_000_000, ge=1000, le=10_000_000, description="A larger picture is not taken.")

    @model_validator(mode="after")
    def _unique(self) -> Stills:
        names = [camera.camera for camera in self.cameras]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"camera named twice: {', '.join(double)}")
        return self


class Config(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="IOC_", env_nested_delimiter="__", extra="forbid", frozen=True)

    province: Province = Province()
    language: Literal["vi", "en"] = "vi"
    timezone: str = "Asia/Ho_Chi_Minh"
    database: Database = Database()
    broker: Broker = Broker()
    ingest: Ingest = Ingest()
    web: Web = Web()
    simulator: Simulator = Simulator()
    brief: Brief | None = Field(None, description="Send the morning brief by mail; without this it is a page only.")
    feeds: list[Feed] = Field(default_factory=list)
    kpis: Kpis = Kpis()
    scenes: Scenes = Scenes()
    stills: Stills = Stills()
    secrets_dir: Path | None = Field(None, description="Folder with one file a secret.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment wins over the file

    @field_validator("feeds")
    @classmethod
    def _unique(cls, feeds: list[Feed]) -> list[Feed]:
        names = [feed.feed for feed in feeds]
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise ValueError(f"feed named twice: {', '.join(double)}")
        return feeds

    @field_validator("stills")
    @classmethod
    def _known(cls, stills: Stills, info: ValidationInfo) -> Stills:
        feeds = {feed.feed for feed in info.data.get("feeds", [])}
        for camera in stills.cameras if "feeds" in info.data else []:
            if camera.asset and camera.asset.split("/")[0] not in feeds:
                raise ValueError(f"{camera.camera} is asset {camera.asset!r}, and no feed is called so; write FEED/SUBJECT with one of the feeds above")
        return stills

    def feed(self, name: str) -> Feed:
        """Return the feed called `name`; raise `UserError` naming the known ones."""
        for feed in self.feeds:
            if feed.feed == name:
                return feed
        raise UserError(f"no feed is called {name!r}; known are {', '.join(f.feed for f in self.feeds) or 'none'}")


# Variables of this project that are not configuration fields.
_OTHER_VARIABLES = ("IOC_CONFIG", "IOC_SIMULATOR_URL", "IOC_SAMPLES", "IOC_REQUIRE_SERVICES")


def load(path: Path | None = None) -> Config:
    """Read `path` (default: $IOC_CONFIG or config.yaml); raise `UserError` with file, line and repair."""
    path = path or path_of()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise UserError(f"{path}: cannot be read: {exc.strerror}") from exc
    try:
        raw = yaml.safe_load(text) or {}
    except yaml.YAMLError as exc:
        raise UserError(f"{path}: not valid YAML: {exc}") from exc
    if not isinstance(raw, dict):
        raise UserError(f"{path}: the top level must be a mapping such as 'feeds:'")
    try:
        return Config(**_expand(raw))
    except ValidationError as exc:
        problems = [f"line {line_of(text, error['loc'])}: {'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()]
        raise UserError(f"{path}: " + "; ".join(problems)) from exc


def path_of() -> Path:
    """Return which file the configuration is read from."""
    return Path(os.environ.get("IOC_CONFIG", DEFAULT_PATH))


def _expand(value: Any) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda m: os.environ.get(m[1]) or (m[2] or ""), value)
    if isinstance(value, list):
        return [_expand(item) for item in value]
    if isinstance(value, dict):
        return {key: _expand(item) for key, item in value.items()}
    return value


def line_of(text: str, loc: tuple[int | str, ...], node: Any = None) -> int:
    """Return the line (from 1) of the deepest part of `loc` that stands in the YAML text; `node`: the text, composed before."""
    node = node or yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for step in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == step), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line


def secret(config: Config, name: str) -> str:
    """Return the secret called `name` from the environment or `secrets_dir`; raise `UserError` when it is nowhere."""
    if value := os.environ.get(name):
        return value
    if config.secrets_dir and (file := config.secrets_dir / name).is_file():
        return file.read_text(encoding="utf-8").strip()
    raise UserError(f"the secret {name} is neither an environment variable nor a file in secrets_dir")
