"""Speech as Ogg Opus, for Motion Servers under test. The kit has no encoder of its own, so the packets are
fixed.

They are 1.02 s of `speech("opus", ...)` of plan.py, encoded once by libopus: mono, 8 kbit/s, packets of 20
ms. A longer stream repeats them, and each stream has a serial number of its own."""

import hashlib
from base64 import b85decode
from collections.abc import Iterator
from itertools import cycle, islice

from spatius_sim.protocol.ogg import write_ogg_opus

_ENCODED = (
    "5D0>aWDkT@-"
    "_>TZ(I1gf$Px&IoJUog4&kU8w#`O3fFhxY6$q8(`a!#J9$}e;QHDV+m&PLs(SQ*Mmn2q~tCe@CCmL}EpOeRA6$qDgGnw+P9G<5>1"
    "srPq;U~O%nSc@qm(1@swK;T<=TteQh-hJ&9T5nZ@X|VZTQ(Ws%*MMY8{nW22!+v)Wwhr6PV_K>w`EiC5eS#Tg05GE&3JD1o6yI{A"
    "K(xOmuaWtx31X80iuV_zng#&2$v1>#GKSbh_*f!ppBilND&B?ts52}eoPM8MEZl!H2=U42tQnpT(NlMojgZ{dW)bA2$QpTQ;uK%z"
    "qPg!t@siMm1r?e{ng88+8i(@L{X`vpcDv}!(aSxGsqt7nD&^M0@-"
    "7zt|Sr&g`0G5eyV9U&Oiib=RZ4=z!C_Tn9ey_C~YjBz#;61x$!R;5eS#^v9M3+W^z`Tt#VfE>p&6+m++E^O#hdD-"
    "Q5of+HdfU;1dX!<Pc=S`aV*ZJc6;#<9iOeJP`<&nSM$L47GT`gdR0ffjG(y2!*0^?Ne7GSLnFDC=UofjjcwzcR(1-"
    "WmLtjv<nCZZzVoUvY)6O^9cwBY~gkUbR=vL2tQz08M31`+QGUkR4EzY69|>%{Gd?Q(+fjwC-?EpX3${p5eSzg0;-rwBBn8~JgL-"
    "u|B@02mwY@PjmC{MndJX9C>$#*b`l7e)0X~OO_4+UjTW2z<eLe=5(t;@u2m+_fZLdoLnm1*<YGV)2!+qb8F3adNEXZv5?uo!hUgR"
    "sm*Cz7=S5n`F|)mkgK=lXUT^yj2!*m{2lsY6OU-FY-Ov#Tmol-apLLCE)+&_Jw>BM!4+uYo1q08w@h5L!z!g#;5ePq9zZD$tfmD4"
    "EIy7GoF@O&UKUd`+P4BcDR;rpr@jwv>l??uYPp9<P$rFd~t+c;T5eSy?UZKQ|1U`)Jm1nFAbAS~HmzcRkI#gi1EX(vG&Wry$@kN|"
    "K5eS90f7nDnoA7wDt|Fj3V5AcWm#R%uAiR~RzBt?Uyey_PTR;;Cm+HhlrzbN@qtgT0k(?+gM1T|sm&CEIqEJq|-OJ9-"
    "x*ucho9Vz32$#I6@uNwnVsIacCdsY{F3=GOmt@L7)2G{j;TN0+k!kQ&4G0EuML=Y<z42Ce&bSN+25-"
    "t$>i7(R;{t#Y2tP3eF*a7QRA#mZrzDkn@B"
)
"""Each packet after a byte that says its length, in base85."""

_PAGE_START, _PAGE_HEAD_BYTES = b"OggS", 27


def ogg_opus_speech(label: str, packet_count: int) -> bytes:
    """Return an Ogg Opus stream with so many packets of 20 ms of speech. Another label gives other bytes."""
    serial = int.from_bytes(hashlib.blake2b(label.encode(), digest_size=4).digest())
    return write_ogg_opus(list(islice(cycle(_read_packets()), packet_count)), serial)


def damage(stream: bytes) -> bytes:
    """Return this Ogg Opus stream with other bytes in place of the head of a page in its middle. What comes
    before can be decoded."""
    start = stream.index(_PAGE_START, len(stream) // 2)
    return stream[:start] + b"\xff" * _PAGE_HEAD_BYTES + stream[start + _PAGE_HEAD_BYTES :]


def _read_packets() -> Iterator[bytes]:
    """Yield the Opus packets of the stored speech, in order. Each is stored after a byte with its length."""
    rest = b85decode(_ENCODED)
    while rest:
        yield rest[1 : 1 + rest[0]]
        rest = rest[1 + rest[0] :]
