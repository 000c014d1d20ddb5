"""Device profiles: schema, shipped profiles, and `decode`, a pure function from words to values.

Owns everything about a device family that is data, and the arithmetic on it. It opens no connection, asks
no clock and knows no database. Facts of a family stand in `collector/profiles/`, one TOML each.
"""

from collector.profile.blocks import CYCLE, EVERYTHING, ONCE, fields_in, plan_blocks
from collector.profile.catalogue import catalogue_markdown
from collector.profile.decoding import decode, explain
from collector.profile.discovery import Discovery, ModelPlace, bind, discover
from collector.profile.document import profile_json_schema
from collector.profile.dump import DumpReading, decode_words, point_record, read_dump, read_words
from collector.profile.library import (
    check_profiles,
    list_profiles,
    load_profile,
    parse_profile,
    read_profile,
)
from collector.profile.types import (
    DIRECT,
    Alarm,
    Block,
    Decoded,
    Field,
    Identity,
    Kind,
    Missing,
    Point,
    Profile,
    Ratios,
    ReadGroup,
    ReadRules,
    StateCode,
    Words,
)

__all__ = [
    "CYCLE",
    "DIRECT",
    "EVERYTHING",
    "ONCE",
    "Alarm",
    "Block",
    "Decoded",
    "Discovery",
    "DumpReading",
    "Field",
    "Identity",
    "Kind",
    "Missing",
    "ModelPlace",
    "Point",
    "Profile",
    "Ratios",
    "ReadGroup",
    "ReadRules",
    "StateCode",
    "Words",
    "bind",
    "catalogue_markdown",
    "check_profiles",
    "decode",
    "decode_words",
    "discover",
    "explain",
    "fields_in",
    "list_profiles",
    "load_profile",
    "parse_profile",
    "plan_blocks",
    "point_record",
    "profile_json_schema",
    "read_dump",
    "read_profile",
    "read_words",
]
