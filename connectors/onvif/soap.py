"""What a camera is asked, as ONVIF asks: SOAP 1.2 by POST; events through a subscription the camera keeps for a while.

A subscription here: {"address": where it is asked, "echo": what the camera wants to hear again with each question}.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from lxml import etree
from msgspec import Struct

from ioc.connect import Answer, Http, Retriable, Unreachable, Unreadable, local

DEVICE, EVENTS, NOTIFY = "http://www.onvif.org/ver10/device/wsdl", "http://www.onvif.org/ver10/events/wsdl", "http://docs.oasis-open.org/wsn/b-2"
KEPT = "PT10M"  # a camera that is not asked for so long forgets us
MESSAGES = 100  # of one pull; fewer came: that was all
MOST_PULLS = 20  # of one look
MOST_ECHO = 2000  # characters of what a camera wants to hear again


class Question(Struct, frozen=True):
    """What is asked: the element and its namespace, the action that names it on the way, what stands in it."""

    name: str
    namespace: str
    action: str
    content: str = ""


INFORMATION = Question("GetDeviceInformation", DEVICE, f"{DEVICE}/GetDeviceInformation")
CLOCK = Question("GetSystemDateAndTime", DEVICE, f"{DEVICE}/GetSystemDateAndTime")
SUBSCRIBE = Question("CreatePullPointSubscription", EVENTS, f"{EVENTS}/EventPortType/CreatePullPointSubscriptionRequest", f"<q:InitialTerminationTime>{KEPT}</q:InitialTerminationTime>")
PULL = Question("PullMessages", EVENTS, f"{EVENTS}/PullPointSubscription/PullMessagesRequest", f"<q:Timeout>PT1S</q:Timeout><q:MessageLimit>{MESSAGES}</q:MessageLimit>")
RENEW = Question("Renew", NOTIFY, "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest", f"<q:TerminationTime>{KEPT}</q:TerminationTime>")


def ask(http: Http, path: str, question: Question, echo: str = "") -> Answer:
    """Return what the camera answers; raise as `Http.post` does."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
        f"<s:Header><a:Action>{question.action}</a:Action>{echo}</s:Header>"
        f'<s:Body><q:{question.name} xmlns:q="{question.namespace}">{question.content}</q:{question.name}></s:Body></s:Envelope>'
    )
    return http.post(path, body.encode(), content_type=f'application/soap+xml; charset=utf-8; action="{question.action}"')


def pull(http: Http, subscription: dict[str, str]) -> Answer:
    """Return what the camera kept for us since the last pull."""
    return ask(http, subscription["address"], PULL, subscription.get("echo", ""))


def renew(http: Http, subscription: dict[str, str]) -> None:
    """Ask the camera to keep the subscription. One that will not says so when it is pulled."""
    try:
        ask(http, subscription["address"], RENEW, subscription.get("echo", ""))
    except Unreachable:
        raise
    except Retriable:
        return


def reachable(http: Http, address: str) -> str:
    """Return where a subscription is asked. A camera behind a router or a proxy names the address it has inside: then its path, at the camera as we know it."""
    try:
        return http.absolute(address)
    except Unreadable as exc:
        if exc.cause != "other_host":
            raise
    inside = urlsplit(address)
    return http.absolute(inside.path + (f"?{inside.query}" if inside.query else ""))


def subscription(envelope: Any) -> dict[str, str]:
    """Return the subscription an answer tells, {} where it tells none."""
    reference = next((element for element in envelope.iter() if local(element) == "SubscriptionReference"), None)
    if reference is None:
        return {}
    address = next(((element.text or "").strip() for element in reference.iter() if local(element) == "Address"), "")
    parameters = next((element for element in reference.iter() if local(element) == "ReferenceParameters"), ())
    echo = "".join(etree.tostring(element, encoding="unicode", with_tail=False) for element in parameters if local(element))
    return {"address": address, "echo": echo} if address and len(echo) <= MOST_ECHO else {}
