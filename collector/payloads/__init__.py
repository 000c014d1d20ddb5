"""MQTT payload mappings: what messages mean, as data, and the pure reading of them.

`document` is the schema of a mapping, `library` the shipped ones, `reading` JSON, `sparkplug` and `births`
Sparkplug B, `values` single numbers and times.
"""

from collector.payloads.document import DEVICE_MARK, TIME_SCALES, PayloadMapping, QuantityRule, TimeRule
from collector.payloads.library import list_mappings, load_mapping, parse_mapping, read_mapping
from collector.payloads.reading import Reading, Speaker, Speakers, TopicNames, read_message, topic_names

__all__ = [
    "DEVICE_MARK",
    "TIME_SCALES",
    "PayloadMapping",
    "QuantityRule",
    "Reading",
    "Speaker",
    "Speakers",
    "TimeRule",
    "TopicNames",
    "list_mappings",
    "load_mapping",
    "parse_mapping",
    "read_mapping",
    "read_message",
    "topic_names",
]
