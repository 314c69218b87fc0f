"""A camera that is asked as ONVIF asks: it wants a password by digest, keeps a subscription, and may forget it."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest
from unit.connect_rig import HERE, NOW, Asked, Bus, Memory, Reply, feed_of, serving

from ioc.connect import registry
from ioc.connect.client import open_client
from ioc.connect.errors import Fatal
from ioc.connect.pump import Pump

USER, PASSWORD = "operator", "p:w@d"
SOAP = '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:t="http://www.onvif.org/ver10/schema"><s:Body>{}</s:Body></s:Envelope>'


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Camera:
    """One camera: its states, the subscriptions it keeps, and whether it saw the right password."""

    def __init__(self) -> None:
        self.at = NOW
        self.waiting: list[str] = []
        self.subscriptions: dict[str, str] = {}  # number -> what it wants to hear again
        self.made, self.asked = 0, list[str]()
        self.names_itself = "http://{host}/onvif/subscription"
        self.pulled: list[tuple[str, dict[str, str]]] = []

    def says(self, topic: str, on: bool, number: int = 0) -> None:
        self.waiting.append(
            f'<NotificationMessage><Topic> tns1:VideoSource/{topic} </Topic><Message><t:Message UtcTime="{(self.at - timedelta(seconds=number)).isoformat()}" PropertyOperation="Changed">'
            f'<t:Data><t:SimpleItem Name="State" Value="{str(on).lower()}"/></t:Data></t:Message></Message></NotificationMessage>'
        )

    def answer(self, asked: Asked) -> Reply:
        if not self._knows(asked):
            return Reply(status=401, headers={"WWW-Authenticate": 'Digest realm="camera", nonce="4711", qop="auth", algorithm=MD5'})
        body = asked.body.decode()
        question = re.search(r"<q:(\w+)", body)
        assert question is not None
        self.asked.append(question[1])
        match question[1]:
            case "GetDeviceInformation":
                return self._said("<GetDeviceInformationResponse><Manufacturer>Acme</Manufacturer><Model>Dome</Model><SerialNumber>0912345678</SerialNumber></GetDeviceInformationResponse>")
            case "GetSystemDateAndTime":
                d = self.at
                return self._said(
                    f"<GetSystemDateAndTimeResponse><UTCDateTime><Time><Hour>{d.hour}</Hour><Minute>{d.minute}</Minute><Second>{d.second}</Second></Time>"
                    f"<Date><Year>{d.year}</Year><Month>{d.month}</Month><Day>{d.day}</Day></Date></UTCDateTime></GetSystemDateAndTimeResponse>"
                )
            case "CreatePullPointSubscription":
                self.made += 1
                self.subscriptions[str(self.made)] = f'<m:Id xmlns:m="urn:maker">{self.made}</m:Id>'
                address = self.names_itself.format(host=asked.headers["host"])
                return self._said(
                    f"<CreatePullPointSubscriptionResponse><SubscriptionReference><a:Address>{address}</a:Address>"
                    f"<a:ReferenceParameters>{self.subscriptions[str(self.made)]}</a:ReferenceParameters></SubscriptionReference></CreatePullPointSubscriptionResponse>"
                )
            case "PullMessages" if any(re.search(rf"<m:Id[^>]*>{number}</m:Id>", body) for number in self.subscriptions):
                self.pulled.append((asked.path, asked.query))
                told, self.waiting = self.waiting[:100], self.waiting[100:]
                return self._said(f"<PullMessagesResponse><CurrentTime>{self.at.isoformat()}</CurrentTime>{''.join(told)}</PullMessagesResponse>")
        return Reply(SOAP.format("<s:Fault><s:Reason>no such subscription</s:Reason></s:Fault>"), 400, {"Content-Type": "application/soap+xml"})

    def _said(self, content: str) -> Reply:
        return Reply(SOAP.format(content), headers={"Content-Type": "application/soap+xml; charset=utf-8"})

    def _knows(self, asked: Asked) -> bool:
        said = {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', asked.headers.get("authorization", ""))}
        if said.get("username") != USER:
            return False
        right = _md5(":".join((_md5(f"{USER}:camera:{PASSWORD}"), "4711", said["nc"], said["cnonce"], "auth", _md5(f"POST:{said['uri']}"))))
        return said["response"] == right


def _pump(url: str, camera: Camera, password: str | None = PASSWORD) -> Pump:
    feed = feed_of("onvif", url.replace("http://", f"http://{USER}@") + "/onvif", options={"camera": "CAM-1", "ask": "camera"})
    connector: Any = registry.get("onvif")
    client = open_client(feed.url, feed.feed, token=password, allowed_hosts=[], rate_per_s=1000, timeout_s=5, max_bytes=1_000_000, sleep=lambda _s: None)
    return Pump(feed, connector, registry.options_of(connector, feed), HERE, client, lambda: camera.at)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_camera_is_asked_in_its_own_protocol_and_a_forgotten_subscription_is_made_anew() -> None:
    camera = Camera()
    camera.says("GlobalSceneChange", True)
    with serving(camera.answer) as server:
        bus, memory, pump = Bus(), Memory(), _pump(server.url, camera)
        assert pump.poll(bus, memory).problems == []
        assert {(e.data.kind, e.data.state) for e in bus.events if hasattr(e.data, "state") and e.data.state} == {("camera", "degraded")}
        assert "Acme Dome" in bus.written() and "0912345678" not in bus.written()
        camera.at += timedelta(seconds=10)
        for number in range(130):  # more than one pull holds
            camera.says("SignalLoss", number % 2 == 0, 130 - number)
        before = len(bus.events)
        assert pump.poll(bus, memory).problems == [] and camera.made == 1
        assert len(bus.events) == before + 2 * 130 + 1  # each with the camera's state, and how wrong the clock is
        camera.subscriptions.clear()  # it was switched off and on
        camera.at += timedelta(seconds=10)
        camera.says("GlobalSceneChange", False)
        assert pump.poll(bus, memory).problems == [] and camera.made == 2
        assert next(e.data.state for e in reversed(bus.events) if hasattr(e.data, "state")) == "ok"
        assert camera.asked.count("Renew") == 2 and bus.letters == []
        pump._client.close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_wrong_password_is_said_and_no_url_may_hold_one() -> None:
    camera = Camera()
    with serving(camera.answer) as server:
        pump = _pump(server.url, camera, "wrong")
        with pytest.raises(Fatal, match="check the feed's secret"):
            pump.poll(Bus(), Memory())
        pump._client.close()
    with pytest.raises(Fatal, match="holds no password"):
        open_client("http://a:b@127.0.0.1/x", "f", token=None, allowed_hosts=[], rate_per_s=1, timeout_s=1, max_bytes=1, sleep=lambda _s: None)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("address", ["http://192.168.1.64:8000/onvif/sub?Idx=3", "https://camera.lan/onvif/sub?Idx=3", "http://[fe80::1]/onvif/sub?Idx=3", "/onvif/sub?Idx=3", "http://{host}/onvif/sub?Idx=3"])
def test_a_camera_that_names_its_address_behind_the_router_is_asked_where_we_know_it(address: str) -> None:
    camera = Camera()
    camera.names_itself = address
    camera.says("SignalLoss", True)
    with serving(camera.answer) as server:
        bus, pump = Bus(), _pump(server.url, camera)
        assert pump.poll(bus, Memory()).problems == [] and bus.letters == []
        assert camera.pulled == [("/onvif/sub", {"Idx": "3"})]
        assert ("camera", "down") in {(e.data.kind, e.data.state) for e in bus.events if hasattr(e.data, "state") and e.data.state}
        pump._client.close()
