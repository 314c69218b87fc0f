"""Why a record could not be read or a source not be asked: kept as a code with values, said in the reader's language.

The same mechanism as doubts (ioc/doubts.py). A dead letter's `cause` is a code, a feed's last cause a code with values,
"status:host=a.vn:443&status=503". What the program itself said (the technical message) stands behind it as detail. A code that is not
here (of a connector somebody added) is shown as it stands.
"""

from __future__ import annotations

import socket
import ssl

from ioc.doubts import Reason, coded, said

_CAUSES: dict[str, Reason] = {
    # ---- the source cannot be asked, or does not answer as it should
    "unreachable": Reason("không kết nối được với nguồn", "the source cannot be reached"),
    "unknown_host": Reason("không tìm thấy máy chủ {host} (DNS)", "no server is called {host} (DNS)"),
    "connection_refused": Reason("{host} từ chối kết nối", "{host} refuses the connection"),
    "bad_tls": Reason("không tin được chứng chỉ TLS của {host}", "the TLS certificate of {host} cannot be trusted"),
    "silent": Reason("{host} không trả lời kịp", "{host} did not answer in time"),
    "broke_off": Reason("{host} ngắt kết nối giữa chừng", "{host} broke off"),
    "status": Reason("{host} trả lời lỗi HTTP {status}", "{host} answers with the error HTTP {status}"),
    "too_often": Reason("{host} báo hỏi quá nhiều lần (HTTP {status})", "{host} says that it is asked too often (HTTP {status})"),
    "access_refused": Reason("{host} không cho truy cập (HTTP {status}): kiểm tra khóa của nguồn", "{host} refuses us (HTTP {status}): check the feed's secret"),
    "not_there": Reason("{host} không có địa chỉ này (HTTP {status})", "{host} has no such address (HTTP {status})"),
    "request_refused": Reason("{host} không nhận yêu cầu này (HTTP {status})", "{host} refuses this request (HTTP {status})"),
    "login_refused": Reason("{host} không nhận tài khoản hoặc khóa của nguồn", "{host} refuses the feed's user or secret"),
    "no_right": Reason("{host} không cho đọc: kiểm tra quyền của tài khoản", "{host} does not let us read: check the user's rights"),
    "no_directory": Reason("{host} không có thư mục này", "{host} has no such directory"),
    "key_not_pinned": Reason("khóa của máy chủ {host} chưa được ghi vào cấu hình", "the key of the server {host} is not written down yet"),
    "other_key": Reason("{host} đưa ra khóa khác với khóa đã ghi", "{host} shows another key than the one that is written down"),
    "query_refused": Reason("{host} không chạy được câu truy vấn", "{host} cannot run the query"),
    "query_slow": Reason("{host} chạy câu truy vấn quá lâu", "the query takes {host} too long"),
    "missing": Reason("nguồn không có địa chỉ này", "the source has no such address"),
    "rejected": Reason("nguồn không nhận yêu cầu này", "the source refuses the request"),
    "retriable": Reason("nguồn đang báo lỗi", "the source answers with an error"),
    "fatal": Reason("nguồn khai báo chưa đúng, hoặc không nhận ta", "the feed is configured wrongly, or the source refuses us"),
    "internal": Reason("lỗi của phần mềm này", "a mistake of this program"),
    "other_host": Reason("bị dẫn sang máy chủ khác chưa được phép", "led to another host, which is not allowed"),
    "endless_redirect": Reason("chuyển hướng mãi không dừng", "redirected without end"),
    "endless_paging": Reason("các trang nối nhau mãi không dừng", "the pages never end"),
    "bad_link": Reason("liên kết hỏng", "a broken link"),
    "answer_later": Reason("nguồn hứa trả lời sau", "the source promises to answer later"),
    "source_error": Reason("nguồn tự báo lỗi", "the source answers with an error of its own"),
    "operation_outcome": Reason("nguồn tự báo lỗi (OperationOutcome)", "the source answers with an OperationOutcome"),
    # ---- an answer that cannot be used
    "html_page": Reason("nhận trang web (HTML) thay cho dữ liệu", "a web page (HTML) came instead of data"),
    "bad_json": Reason("không phải JSON hợp lệ", "not valid JSON"),
    "bad_xml": Reason("không phải XML hợp lệ", "not valid XML"),
    "bad_csv": Reason("không phải CSV hợp lệ", "not valid CSV"),
    "bad_protobuf": Reason("không phải thông điệp GTFS-RT trọn vẹn", "no whole GTFS-RT message"),
    "bad_compression": Reason("dữ liệu nén bị hỏng", "broken compression"),
    "unknown_format": Reason("không rõ định dạng", "an unknown format"),
    "unknown_layout": Reason("bố cục khác với tài liệu của nguồn", "laid out otherwise than the source's documentation says"),
    "wrong_encoding": Reason("sai bảng mã chữ (cần UTF-8)", "wrong encoding of letters (UTF-8 is needed)"),
    "dtd_refused": Reason("XML có DOCTYPE, không được đọc", "XML with a DOCTYPE is never read"),
    "spreadsheet": Reason("bảng tính không đọc được", "a spreadsheet that cannot be read"),
    "unreadable_file": Reason("không mở được tệp", "the file cannot be opened"),
    "empty": Reason("nội dung trống", "nothing in it"),
    "too_large": Reason("quá lớn", "too large"),
    "too_deep": Reason("lồng nhau quá sâu", "nested too deeply"),
    "blank_header": Reason("cột không có tên", "a column has no name"),
    "duplicate_header": Reason("hai cột trùng tên", "two columns have the same name"),
    "ragged_row": Reason("dòng thừa hoặc thiếu ô", "a row with too many or too few cells"),
    "hidden_row": Reason("dòng bị ẩn", "a hidden row"),
    "merged_cells": Reason("ô bị gộp qua nhiều dòng", "cells merged over several rows"),
    "no_value": Reason("công thức chưa được tính", "a formula that was never calculated"),
    # ---- a record that cannot be an event
    "out_of_scope": Reason("bản ghi ngoài phạm vi, không đọc", "a record that is never read"),
    "personal_record": Reason("bản ghi về cá nhân, không đọc", "a record about a person, never read"),
    "personal_id": Reason("mã định danh cá nhân, không nhận", "an identifier of a person, never taken"),
    "pending": Reason("báo cáo chưa hoàn tất", "a report that is not complete yet"),
    "missing_id": Reason("thiếu mã định danh", "no identifier"),
    "missing_time": Reason("thiếu thời điểm", "no time"),
    "missing_value": Reason("thiếu giá trị", "no value"),
    "missing_document": Reason("bản tin có trong danh sách mà không lấy được", "a listed message cannot be had"),
    "missing_resource": Reason("mục không kèm tài nguyên", "an entry without its resource"),
    "missing_url": Reason("thiếu địa chỉ", "no address"),
    "missing_reference": Reason("thiếu tham chiếu", "no reference"),
    "wrong_type": Reason("sai kiểu dữ liệu", "wrong type of data"),
    "not_a_number": Reason("không phải là số", "not a number"),
    "out_of_range": Reason("ngoài khoảng cho phép", "out of range"),
    "bad_time": Reason("thời điểm sai", "a wrong time"),
    "no_zone": Reason("thời điểm không có múi giờ", "a time without a zone"),
    "time_ahead": Reason("thời điểm nằm ở tương lai", "a time in the future"),
    "bad_text": Reason("chữ có ký tự cấm", "text with a forbidden character"),
    "text_too_long": Reason("chữ quá dài", "text that is too long"),
    "bad_data": Reason("dữ liệu sai mẫu", "data of a wrong form"),
    "bad_shape": Reason("đường ranh giới sai", "a wrong outline"),
    "bad_envelope": Reason("không phải CloudEvents 1.0", "not CloudEvents 1.0"),
    "unknown_type": Reason("loại sự kiện không biết", "an unknown type of event"),
    "unknown_status": Reason("trạng thái không biết", "an unknown status"),
    "unknown_code": Reason("mã không biết", "an unknown code"),
    "unknown_area": Reason("không rõ xã, phường", "an unknown commune"),
    "split_area": Reason("đơn vị cũ đã chia về nhiều xã, phường", "a former unit that was split among communes"),
    "unknown_unit": Reason("đơn vị đo không biết", "an unknown unit"),
    "unit_mismatch": Reason("đơn vị đo không khớp", "a unit that does not fit"),
    "unknown_datastream": Reason("luồng đo không biết", "an unknown datastream"),
    "contradiction": Reason("mâu thuẫn với bản ghi đã có", "contradicts what is known"),
    "database_refused": Reason("cơ sở dữ liệu không nhận", "refused by the database"),
    "connector_error": Reason("lỗi của bộ kết nối", "a mistake of the connector"),
}


_BELOW = ((ssl.SSLError, "bad_tls"), (socket.gaierror, "unknown_host"), (ConnectionRefusedError, "connection_refused"), (TimeoutError, "silent"))


def because(code: str, **values: object) -> str:
    """Return a cause as it is kept; raise `KeyError` for a code, or a value of it, that nobody has words for."""
    return coded(code, _CAUSES, values)


def unreached(exc: BaseException, host: str) -> str:
    """Return why there is no connection to `host`, as what lies below the exception says."""
    below: BaseException | None = exc
    while below is not None:
        for kind, code in _BELOW:
            if isinstance(below, kind):
                return because(code, host=host)
        below = below.__cause__ or below.__context__
    return "unreachable"


def in_words(kept: str) -> Reason:
    """Return a kept cause, or several, in words."""
    return said(kept, _CAUSES)
