"""Takes mail with aiosmtpd and prints one JSON object a message.

Arguments: port, certificate, key, and one of `tls`, `starttls`, `none`, `refuse`, `busy`.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    def __init__(self, how):
        self.how = how

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.how == "refuse":
            return "550 5.1.1 no such user; s3cret"
        if self.how == "busy":
            return "451 4.3.0 later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None or self.how == "tls",
            "user": session.auth_data.login.decode() if session.authenticated else None,
            "data": envelope.content.decode("ascii"),
        }
        print(json.dumps(told), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data.password == b"s3cret"
    return AuthResult(success=right, handled=False, auth_data=data)


async def main(port, certificate, key, how):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    secure = how != "none"

    def factory():
        return SMTP(
            Handler(how),
            hostname="localhost",
            tls_context=context if secure and how != "tls" else None,
            require_starttls=secure and how != "tls",
            authenticator=authenticate,
            auth_require_tls=secure and how != "tls",
            auth_required=secure,
        )

    server = await asyncio.get_running_loop().create_server(
        factory, "127.0.0.1", port, ssl=context if how == "tls" else None
    )
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), *sys.argv[2:5]))
