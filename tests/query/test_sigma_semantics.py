"""The meaning of Sigma detections, each case worked out from the specification."""

import base64
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sigma_semantics import compile_detection, matches

# 2026-11-09 is the Monday of ISO week 46.
TIME = "2026-11-09T06:12:07Z"
EPOCH_MILLISECONDS = 1794204727000
ADDRESS = "192.0.2.44"

# name, selection, document, whether it matches
SELECTIONS: list[tuple[str, object, Mapping[str, object], bool]] = [
    # maps and lists
    ("all items of a map hold", {"f": "a", "g": "b"}, {"f": "a", "g": "b"}, True),
    ("one item of a map fails", {"f": "a", "g": "b"}, {"f": "a", "g": "c"}, False),
    ("one value of a list is enough", {"f": ["a", "b"]}, {"f": "b"}, True),
    ("no value of a list", {"f": ["a", "b"]}, {"f": "c"}, False),
    ("one map of a list is enough", [{"f": "a", "g": "b"}, {"f": "c"}], {"f": "c"}, True),
    ("halves of two maps are no map", [{"f": "a", "g": "b"}, {"f": "c", "g": "d"}], {"f": "a", "g": "d"}, False),
    ("a map beside a keyword", [{"f": "a"}, "needle"], {"g": "a needle here"}, True),
    ("a field with dots is one name", {"a.b": "x"}, {"a.b": "x", "b": "y"}, True),
    ("field names have case", {"F": "a"}, {"f": "a"}, False),
    ("a missing field", {"f": "a"}, {"g": "a"}, False),
    # several values in a field
    ("any value of the field", {"f": "b"}, {"f": ["a", "b"]}, True),
    ("none of the field's values", {"f": "c"}, {"f": ["a", "b"]}, False),
    ("an empty list holds no value", {"f": "*"}, {"f": []}, False),
    ("all, each by another value", {"f|all": ["a", "b"]}, {"f": ["b", "a", "c"]}, True),
    ("all, one missing", {"f|all": ["a", "b"]}, {"f": ["a", "c"]}, False),
    ("two items of a map, by two values", {"f|startswith": "a", "f|endswith": "z"}, {"f": ["ab", "yz"]}, True),
    # case
    ("case does not count", {"f": "deletetrail"}, {"f": "DeleteTrail"}, True),
    ("nor that of other letters", {"f": "É\u0394Ж"}, {"f": "é\u03b4ж"}, True),
    ("nor beyond 16 bits", {"f": "\U00010400"}, {"f": "\U00010428"}, True),
    ("accents count", {"f": "e"}, {"f": "é"}, False),
    ("composed is not combined", {"f": "é"}, {"f": "e\u0301"}, False),
    ("sharp s is not ss", {"f": "straße"}, {"f": "STRASSE"}, False),
    ("sharp s, large and small", {"f": "ß"}, {"f": "ẞ"}, True),
    ("a ligature is not its letters", {"f": "\ufb01"}, {"f": "FI"}, False),
    ("final sigma and capital sigma", {"f": "\u03c2"}, {"f": "\u03a3"}, True),
    ("final sigma and small sigma", {"f": "\u03c2"}, {"f": "\u03c3"}, False),
    ("Kelvin sign and small k", {"f": "\u212a"}, {"f": "k"}, True),
    ("Kelvin sign and capital k", {"f": "\u212a"}, {"f": "K"}, False),
    ("capital i with dot and small i", {"f": "\u0130"}, {"f": "i"}, True),
    ("iota subscript, large and small", {"f": "\u1f80"}, {"f": "\u1f88"}, True),
    ("cased, the same", {"f|cased": "Root"}, {"f": "Root"}, True),
    ("cased, another case", {"f|cased": "Root"}, {"f": "root"}, False),
    ("cased with contains", {"f|contains|cased": "Root"}, {"f": "the root"}, False),
    ("cased before startswith", {"f|cased|startswith": "Ro"}, {"f": "Root"}, True),
    ("cased with a wildcard", {"f|cased": "R*t"}, {"f": "Root"}, True),
    # wildcards and escapes
    ("a text is the whole value", {"f": "elete"}, {"f": "Delete"}, False),
    ("star for many", {"f": "De*Trail"}, {"f": "DeleteTrail"}, True),
    ("star for none", {"f": "De*lete"}, {"f": "Delete"}, True),
    ("star must find the rest", {"f": "De*Trail"}, {"f": "DeleteTrails"}, False),
    ("stars that look again", {"f": "*aab*aac"}, {"f": "aaabaaaac"}, True),
    ("stars in order", {"f": "*a*b*"}, {"f": "ba"}, False),
    ("question mark for one", {"f": "prog?"}, {"f": "progA"}, True),
    ("question mark not for none", {"f": "prog?"}, {"f": "prog"}, False),
    ("question mark not for two", {"f": "prog?"}, {"f": "progAB"}, False),
    ("question mark for one beyond 16 bits", {"f": "a?b"}, {"f": "a\N{GRINNING FACE}b"}, True),
    ("star for a line end", {"f": "a*b"}, {"f": "a\nb"}, True),
    ("question mark for a line end", {"f": "a?b"}, {"f": "a\nb"}, True),
    ("a final line end counts", {"f": "a"}, {"f": "a\n"}, False),
    ("escaped star, a star", {"f": r"a\*"}, {"f": "a*"}, True),
    ("escaped star, another", {"f": r"a\*"}, {"f": "ab"}, False),
    ("escaped question mark", {"f": r"what\?"}, {"f": "what?"}, True),
    ("escaped question mark, another", {"f": r"what\?"}, {"f": "whats"}, False),
    ("one backslash", {"f": r"C:\Windows"}, {"f": r"C:\Windows"}, True),
    ("two backslashes are one", {"f": r"C:\\Windows"}, {"f": r"C:\Windows"}, True),
    ("two backslashes are not two", {"f": r"C:\\Windows"}, {"f": r"C:\\Windows"}, False),
    ("three backslashes are two", {"f": r"\\\host"}, {"f": r"\\host"}, True),
    ("four backslashes are two", {"f": r"\\\\host"}, {"f": r"\\host"}, True),
    ("backslash, then a wildcard", {"f": r"C:\\*"}, {"f": r"C:\Windows"}, True),
    ("backslash, then a wildcard, without the backslash", {"f": r"C:\\*"}, {"f": "C:Windows"}, False),
    ("backslash and star, both plain", {"f": r"C:\\\*"}, {"f": r"C:\*"}, True),
    ("backslash and star, both plain, another", {"f": r"C:\\\*"}, {"f": r"C:\x"}, False),
    ("a backslash at the end", {"f": "C:\\"}, {"f": "C:\\"}, True),
    ("other signs are themselves", {"f": "a.c[x]+(y)|{z}^$"}, {"f": "a.c[x]+(y)|{z}^$"}, True),
    ("a dot is no wildcard", {"f": "a.c"}, {"f": "abc"}, False),
    # empty and any
    ("empty is empty", {"f": ""}, {"f": ""}, True),
    ("empty is nothing else", {"f": ""}, {"f": " "}, False),
    ("empty is not missing", {"f": ""}, {}, False),
    ("star, any value", {"f": "*"}, {"f": "x"}, True),
    ("star, the empty text", {"f": "*"}, {"f": ""}, True),
    ("star, a number", {"f": "*"}, {"f": 0}, True),
    ("star, false", {"f": "*"}, {"f": False}, True),
    ("star, a missing field", {"f": "*"}, {}, False),
    ("two stars", {"f": "**"}, {"f": ""}, True),
    ("at least one character", {"f": "?*"}, {"f": ""}, False),
    # null and exists
    ("null, a missing field", {"f": None}, {"g": "x"}, True),
    ("null, a value", {"f": None}, {"f": "x"}, False),
    ("null, the empty text", {"f": None}, {"f": ""}, False),
    ("null, the text null", {"f": None}, {"f": "null"}, False),
    ("null in a list, missing", {"f": [None, "a"]}, {}, True),
    ("null in a list, the other", {"f": [None, "a"]}, {"f": "a"}, True),
    ("null in a list, neither", {"f": [None, "a"]}, {"f": "b"}, False),
    ("not null", {"f|neq": None}, {"f": "x"}, True),
    ("exists, a value", {"f|exists": True}, {"f": "x"}, True),
    ("exists, the empty text", {"f|exists": True}, {"f": ""}, True),
    ("exists, false is a value", {"f|exists": True}, {"f": False}, True),
    ("exists, missing", {"f|exists": True}, {}, False),
    ("exists not, missing", {"f|exists": False}, {}, True),
    ("exists not, a value", {"f|exists": False}, {"f": 0}, False),
    # contains, startswith, endswith
    ("contains, in the middle", {"f|contains": "elete"}, {"f": "DELETETrail"}, True),
    ("contains, the whole", {"f|contains": "abc"}, {"f": "abc"}, True),
    ("contains, not", {"f|contains": "abc"}, {"f": "ab c"}, False),
    ("contains, over a line end", {"f|contains": "b"}, {"f": "a\nb\nc"}, True),
    ("contains, not over two values", {"f|contains": "ab"}, {"f": ["a", "b"]}, False),
    ("contains, with a wildcard inside", {"f|contains": "a?c*e"}, {"f": "xxabcdexx"}, True),
    ("contains nothing, any value", {"f|contains": ""}, {"f": ""}, True),
    ("contains, in a number", {"f|contains": "23"}, {"f": 1234}, True),
    ("contains a number", {"f|contains": 23}, {"f": "port 1234"}, True),
    ("contains all", {"f|contains|all": ["a", "c"]}, {"f": "abc"}, True),
    ("contains all, one missing", {"f|contains|all": ["a", "d"]}, {"f": "abc"}, False),
    ("all before contains", {"f|all|contains": ["a", "c"]}, {"f": "abc"}, True),
    ("startswith", {"f|startswith": "arn:aws:"}, {"f": "ARN:aws:iam"}, True),
    ("startswith, later", {"f|startswith": "aws"}, {"f": "arn:aws"}, False),
    ("endswith", {"f|endswith": ".exe"}, {"f": "a.EXE"}, True),
    ("endswith, earlier", {"f|endswith": ".exe"}, {"f": "a.exe.txt"}, False),
    ("endswith a backslash and a name", {"f|endswith": r"\cmd.exe"}, {"f": r"C:\cmd.exe"}, True),
    ("startswith a plain star", {"f|startswith": r"\*"}, {"f": "*x"}, True),
    ("startswith a plain star, another", {"f|startswith": r"\*"}, {"f": "x*"}, False),
    ("a final backslash does not escape the modifier's star", {"f|startswith": "C:\\"}, {"f": r"C:\x"}, True),
    # neq
    ("neq, another", {"f|neq": "a"}, {"f": "b"}, True),
    ("neq, the same", {"f|neq": "a"}, {"f": "A"}, False),
    ("neq, missing", {"f|neq": "a"}, {}, True),
    ("neq, one of several values", {"f|neq": "a"}, {"f": ["a", "b"]}, False),
    ("neq, none of a list", {"f|neq": ["a", "b"]}, {"f": "c"}, True),
    ("neq, one of a list", {"f|neq": ["a", "b"]}, {"f": "b"}, False),
    ("neq, a number", {"f|neq": 5}, {"f": 6}, True),
    ("neq with contains", {"f|contains|neq": "a"}, {"f": "bac"}, False),
    # numbers and booleans
    ("number, the same", {"f": 443}, {"f": 443}, True),
    ("number, another", {"f": 443}, {"f": 80}, False),
    ("number, as a decimal fraction", {"f": 5}, {"f": 5.0}, True),
    ("number, its text", {"f": 443}, {"f": "443"}, True),
    ("number, a zero before", {"f": 5}, {"f": "05"}, False),
    ("number, as JSON may write it", {"f": 5}, {"f": "5.0"}, True),
    ("number, a needless fraction", {"f": 5}, {"f": "5.00"}, False),
    ("number, a blank", {"f": 5}, {"f": " 5"}, False),
    ("number, an exponent", {"f": 100}, {"f": "1e2"}, False),
    ("number below zero, its text", {"f": -3}, {"f": "-3"}, True),
    ("fraction, its text", {"f": 0.5}, {"f": "0.5"}, True),
    ("fraction, the same", {"f": 0.1}, {"f": 0.1}, True),
    ("whole number, last digit of many", {"f": 9007199254740993}, {"f": 9007199254740992}, False),
    ("number, one of several", {"f": 5}, {"f": [4, 5]}, True),
    ("number, a list", {"f": [517, 1102]}, {"f": 1102}, True),
    ("one is not true", {"f": 1}, {"f": True}, False),
    ("text, a number", {"f": "5"}, {"f": 5}, True),
    ("text, a number with a fraction", {"f": "5"}, {"f": 5.0}, False),
    ("text with a wildcard, a number", {"f": "44*"}, {"f": 443}, True),
    ("true, true", {"f": True}, {"f": True}, True),
    ("true, false", {"f": True}, {"f": False}, False),
    ("true, its text", {"f": True}, {"f": "true"}, True),
    ("true, its text in another case", {"f": True}, {"f": "True"}, False),
    ("false, its text", {"f": False}, {"f": "false"}, True),
    ("true, one", {"f": True}, {"f": 1}, False),
    ("false, missing", {"f": False}, {}, False),
    ("text, a boolean", {"f": "TRUE"}, {"f": True}, True),
    ("cased text, a boolean", {"f|cased": "True"}, {"f": True}, False),
    # comparisons
    ("gt, more", {"f|gt": 5}, {"f": 6}, True),
    ("gt, the same", {"f|gt": 5}, {"f": 5}, False),
    ("gte, the same", {"f|gte": 5}, {"f": 5}, True),
    ("lt, less", {"f|lt": 5}, {"f": 4.9}, True),
    ("lt, the same", {"f|lt": 5}, {"f": 5}, False),
    ("lte, the same", {"f|lte": 5}, {"f": 5.0}, True),
    ("lte, more", {"f|lte": 5}, {"f": 6}, False),
    ("gt, by value and not by letters", {"f|gt": 9}, {"f": "10"}, True),
    ("gt, a fraction as text", {"f|gt": 9}, {"f": "9.5"}, True),
    ("lt, below zero", {"f|lt": 0}, {"f": "-0.1"}, True),
    ("lte, a fraction that no binary number is", {"f|lte": 0.1}, {"f": "0.1"}, True),
    ("gt, another text", {"f|gt": 5}, {"f": "many"}, False),
    ("lt, the empty text", {"f|lt": 5}, {"f": ""}, False),
    ("lt, an exponent", {"f|lt": 5}, {"f": "1e0"}, False),
    ("lt, a zero before", {"f|lt": 9}, {"f": "05"}, False),
    ("lt, a boolean", {"f|lt": 5}, {"f": True}, False),
    ("lt, missing", {"f|lt": 5}, {}, False),
    ("gt, one of several", {"f|gt": 5}, {"f": [1, 7]}, True),
    ("a range, by two values", {"f|gt": 5, "f|lt": 3}, {"f": [1, 7]}, True),
    # regular expressions
    ("re, anywhere", {"f|re": "l[ea]te"}, {"f": "DeleteTrail"}, True),
    ("re, case counts", {"f|re": "delete"}, {"f": "Delete"}, False),
    ("re, i", {"f|re|i": "delete"}, {"f": "Delete"}, True),
    ("re, anchors", {"f|re": "^a.c$"}, {"f": "abc"}, True),
    ("re, anchors, longer", {"f|re": "^a.c$"}, {"f": "abcd"}, False),
    ("re, dollar before a final line end", {"f|re": "c$"}, {"f": "abc\n"}, True),
    ("re, dot and line end", {"f|re": "a.b"}, {"f": "a\nb"}, False),
    ("re, s", {"f|re|s": "a.b"}, {"f": "a\nb"}, True),
    ("re, line start", {"f|re": "^b"}, {"f": "a\nb"}, False),
    ("re, m", {"f|re|m": "^b"}, {"f": "a\nb"}, True),
    ("re, i and m", {"f|re|i|m": "^B$"}, {"f": "a\nb\nc"}, True),
    ("re, repeats", {"f|re": "^(ab){2,3}$"}, {"f": "abababab"}, False),
    ("re, alternatives", {"f|re": "^(cat|dog)s?$"}, {"f": "dogs"}, True),
    ("re, a star is no wildcard", {"f|re": "^ab*$"}, {"f": "abx"}, False),
    ("re, an escaped star", {"f|re": r"^a\*$"}, {"f": "a*"}, True),
    ("re, a digit", {"f|re": r"^\d$"}, {"f": "5"}, True),
    ("re, a digit of another script", {"f|re": r"^\d$"}, {"f": "\u0665"}, False),
    ("re, a word is of ASCII", {"f|re": r"^\w+$"}, {"f": "é"}, False),
    ("re, i, other letters", {"f|re|i": "É"}, {"f": "é"}, True),
    ("re, i, a class", {"f|re|i": r"^R\w+\d$"}, {"f": "root5"}, True),
    ("re, a number", {"f|re": "^4"}, {"f": 443}, True),
    ("re, missing", {"f|re": ".*"}, {}, False),
    ("re, nothing, the empty text", {"f|re": ""}, {"f": ""}, True),
    ("re, one of several", {"f|re": "^b$"}, {"f": ["a", "b"]}, True),
    ("re, not over two values", {"f|re|s": "a.*b"}, {"f": ["a", "b"]}, False),
    ("re, all", {"f|re|all": ["a", "c"]}, {"f": "abc"}, True),
    ("re, neq", {"f|re|neq": "a"}, {"f": "b"}, True),
    # networks
    ("cidr, inside", {"f|cidr": "192.0.2.0/24"}, {"f": ADDRESS}, True),
    ("cidr, outside", {"f|cidr": "192.0.2.0/28"}, {"f": ADDRESS}, False),
    ("cidr, one address", {"f|cidr": "192.0.2.44/32"}, {"f": ADDRESS}, True),
    ("cidr, no whole octet", {"f|cidr": "172.16.0.0/12"}, {"f": "172.31.255.255"}, True),
    ("cidr, a list", {"f|cidr": ["10.0.0.0/8", "192.0.2.0/24"]}, {"f": ADDRESS}, True),
    ("cidr, a name", {"f|cidr": "192.0.2.0/24"}, {"f": "192.0.2.example.com"}, False),
    ("cidr, part of an address", {"f|cidr": "192.0.2.0/24"}, {"f": "192.0.2."}, False),
    ("cidr, a number is no address", {"f|cidr": "0.0.0.0/0"}, {"f": 1}, False),
    ("cidr, every address of its version", {"f|cidr": "0.0.0.0/0"}, {"f": "2001:db8::1"}, False),
    ("cidr, version 6", {"f|cidr": "2001:db8::/32"}, {"f": "2001:db8:4:7::1f"}, True),
    ("cidr, version 6, outside", {"f|cidr": "2001:db8::/33"}, {"f": "2001:db8:8000::1"}, False),
    ("cidr, version 6, capital and long", {"f|cidr": "2001:db8::/48"}, {"f": "2001:0DB8:0:0:0:0:0:1"}, True),
    ("cidr, one of several", {"f|cidr": "192.0.2.0/24"}, {"f": ["ec2.amazonaws.com", ADDRESS]}, True),
    # windash
    ("windash, as written", {"f|windash|contains": " -f"}, {"f": "tar -f x"}, True),
    ("windash, a slash", {"f|windash|contains": " -f"}, {"f": "tar /f x"}, True),
    ("windash, an en dash", {"f|contains|windash": " -f"}, {"f": "tar \u2013f x"}, True),
    ("windash, an em dash for a slash", {"f|contains|windash": " /f"}, {"f": "tar \u2014f x"}, True),
    ("windash, a bar", {"f|contains|windash": " -f"}, {"f": "tar \u2015f x"}, True),
    ("windash, every mix", {"f|windash": "-a -b"}, {"f": "/a \u2013b"}, True),
    ("windash, within a word too", {"f|windash": "a-b"}, {"f": "a/b"}, True),
    ("windash, no dash at all", {"f|windash|contains": " -f"}, {"f": "tar f x"}, False),
    ("windash, a hyphen is none of the five", {"f|windash": "-f"}, {"f": "\u2010f"}, False),
    ("windash, before an encoding", {"f|windash|base64": "-a"}, {"f": "L2E="}, True),
    # encodings
    ("wide", {"f|wide": "cmd"}, {"f": "c\0m\0d\0"}, True),
    ("utf16le is the same", {"f|utf16le|contains": "cmd"}, {"f": "xc\0m\0d\0"}, True),
    ("utf16be", {"f|utf16be": "cmd"}, {"f": "\0c\0m\0d"}, True),
    ("utf16be is not utf16le", {"f|utf16be": "cmd"}, {"f": "c\0m\0d\0"}, False),
    ("base64", {"f|base64": "foobar"}, {"f": "Zm9vYmFy"}, True),
    ("base64, padded", {"f|base64": "a"}, {"f": "YQ=="}, True),
    ("base64, of UTF-8", {"f|base64": "é"}, {"f": "w6k="}, True),
    ("base64, the whole", {"f|base64": "foo"}, {"f": "Zm9vYmFy"}, False),
    ("base64, contains", {"f|base64|contains": "foo"}, {"f": "eHh4Zm9vYmFy"}, True),
    ("base64, of an escaped star", {"f|base64": r"\*"}, {"f": "Kg=="}, True),
    ("base64, case does not count", {"f|base64": "foobar"}, {"f": "zm9vymfy"}, True),
    ("base64, cased", {"f|base64|cased": "foobar"}, {"f": "zm9vymfy"}, False),
    ("base64 after wide", {"f|wide|base64": "cmd"}, {"f": "YwBtAGQA"}, True),
    ("base64 after utf16", {"f|utf16|base64": "cmd"}, {"f": "//5jAG0AZAA="}, True),
    ("base64 after utf16be", {"f|utf16be|base64": "cmd"}, {"f": "AGMAbQBk"}, True),
    ("base64offset, at the start", {"f|base64offset|contains": "foobar"}, {"f": "Zm9vYmFyeA=="}, True),
    ("base64offset, one byte later", {"f|base64offset|contains": "foobar"}, {"f": "eGZvb2Jhcnk="}, True),
    ("base64offset, two bytes later", {"f|base64offset|contains": "foobar"}, {"f": "eHhmb29iYXJ4"}, True),
    ("base64offset, another text", {"f|base64offset|contains": "foozar"}, {"f": "eHhmb29iYXJ4"}, False),
    ("base64offset after wide", {"f|wide|base64offset|contains": "cmd"}, {"f": "eGMAbQBkAA=="}, True),
    # fieldref
    ("fieldref, the same", {"f|fieldref": "g"}, {"f": "a", "g": "A"}, True),
    ("fieldref, another", {"f|fieldref": "g"}, {"f": "a", "g": "b"}, False),
    ("fieldref, any of both", {"f|fieldref": "g"}, {"f": ["a", "b"], "g": ["c", "b"]}, True),
    ("fieldref, the other is missing", {"f|fieldref": "g"}, {"f": "a"}, False),
    ("fieldref, both are missing", {"f|fieldref": "g"}, {}, False),
    ("fieldref, number and text", {"f|fieldref": "g"}, {"f": 5, "g": "5"}, True),
    ("fieldref, two numbers", {"f|fieldref": "g"}, {"f": 5, "g": 5.0}, True),
    ("fieldref, one and true", {"f|fieldref": "g"}, {"f": 1, "g": True}, False),
    ("fieldref, a star in a document is a star", {"f|fieldref": "g"}, {"f": "abc", "g": "a*"}, False),
    ("fieldref, one of two fields", {"f|fieldref": ["g", "h"]}, {"f": "a", "h": "a"}, True),
    ("fieldref, startswith", {"f|fieldref|startswith": "g"}, {"f": "alice-1", "g": "alice"}, True),
    ("fieldref, startswith, the other way", {"f|fieldref|startswith": "g"}, {"f": "alice", "g": "alice-1"}, False),
    ("fieldref, startswith, numbers", {"f|fieldref|startswith": "g"}, {"f": 443, "g": 44}, True),
    ("fieldref, endswith", {"f|endswith|fieldref": "g"}, {"f": "user/alice", "g": "alice"}, True),
    ("fieldref, contains", {"f|fieldref|contains": "g"}, {"f": "role/alice/x", "g": "alice"}, True),
    ("fieldref, contains not", {"f|fieldref|contains": "g"}, {"f": "role/bob/x", "g": "alice"}, False),
    ("fieldref, neq", {"f|fieldref|neq": "g"}, {"f": "a", "g": "b"}, True),
    ("fieldref, neq, missing", {"f|fieldref|neq": "g"}, {"f": "a"}, True),
    ("fieldref, cased", {"f|fieldref|cased": "g"}, {"f": "a", "g": "A"}, False),
    # time parts
    ("minute", {"f|minute": 12}, {"f": TIME}, True),
    ("hour", {"f|hour": 6}, {"f": TIME}, True),
    ("hour, another", {"f|hour": 7}, {"f": TIME}, False),
    ("day", {"f|day": 9}, {"f": TIME}, True),
    ("week", {"f|week": 46}, {"f": TIME}, True),
    ("week, of the year before", {"f|week": 53}, {"f": "2027-01-03T00:00:00Z"}, True),
    ("month", {"f|month": 11}, {"f": TIME}, True),
    ("year", {"f|year": 2026}, {"f": TIME}, True),
    ("hour, of milliseconds", {"f|hour": 6}, {"f": EPOCH_MILLISECONDS}, True),
    ("year, before 1970", {"f|year": 1969}, {"f": -1}, True),
    ("minute, with a fraction of a second", {"f|minute": 12}, {"f": "2026-11-09T06:12:07.123456789Z"}, True),
    ("hour, a list", {"f|hour": [5, 6]}, {"f": TIME}, True),
    ("hour, at least", {"f|hour|gte": 6}, {"f": TIME}, True),
    ("hour, less", {"f|hour|lt": 6}, {"f": TIME}, False),
    ("hour, of a date", {"f|hour": 0}, {"f": "2026-11-09"}, True),
    ("day, of no time", {"f|day": 9}, {"f": "the 9th"}, False),
    ("day, of no day of any year", {"f|day": 30}, {"f": "2026-02-30T00:00:00Z"}, False),
    ("hour, of a boolean", {"f|hour": 0}, {"f": True}, False),
    # keywords
    ("keyword, within a value", ["EvilService"], {"f": "x", "g": "the evilservice runs"}, True),
    ("keyword, no value", ["EvilService"], {"f": "x", "EvilService": "y"}, False),
    ("keyword, one is enough", ["evil", "bad"], {"f": "so bad"}, True),
    ("keyword, in one of several values", ["bad"], {"f": ["good", "a bad one"]}, True),
    ("keyword, not over two values", ["ab"], {"f": "a", "g": "b"}, False),
    ("keyword, a wildcard inside", ["e?il*s"], {"f": "an evil service"}, True),
    ("keyword, a number", [4711], {"f": "ci-4711"}, True),
    ("keyword, in a number", ["47"], {"f": 4711}, True),
    ("keyword, a boolean", ["true"], {"f": True}, True),
    ("keyword, an empty document", ["*"], {}, False),
    ("keywords, all", {"|all": ["evil", "bad"]}, {"f": "evil", "g": "bad"}, True),
    ("keywords, all, one missing", {"|all": ["evil", "bad"]}, {"f": "evil"}, False),
    ("keywords, cased", {"|cased": ["Evil", "Bad"]}, {"f": "evil"}, False),
    ("keywords, re", {"|re": "^ev.l$"}, {"f": "x", "g": "evil"}, True),
    ("keywords beside a field", {"|all": ["evil", "bad"], "f": "x"}, {"f": "y", "g": "evil bad"}, False),
]  # fmt: skip

NAMES = {
    "a": {"f": "a"},
    "b": {"f": "b"},
    "selection_1": {"g": "1"},
    "selection_2": {"h": "2"},
    "filter_main": {"i": "*"},
    "_hidden": {"f": "hidden"},
}

# name, condition over NAMES, document, whether it matches
CONDITIONS: list[tuple[str, object, Mapping[str, object], bool]] = [
    ("a name", "a", {"f": "a"}, True),
    ("and", "a and b", {"f": ["a", "b"]}, True),
    ("and, one fails", "a and b", {"f": "a"}, False),
    ("or", "a or b", {"f": "b"}, True),
    ("not", "not a", {"f": "b"}, True),
    ("not, a missing field", "not a", {}, True),
    ("not, one of several values", "not a", {"f": ["a", "b"]}, False),
    ("not not", "not not a", {"f": "a"}, True),
    ("and binds more than or", "a or b and selection_1", {"f": "a"}, True),
    ("and binds more than or, on the left", "b and selection_1 or a", {"f": "a"}, True),
    ("parentheses", "(a or b) and selection_1", {"f": "a"}, False),
    ("not binds more than and", "not a and b", {"f": "b"}, True),
    ("not binds more than or", "not a or b", {"f": ["a", "b"]}, True),
    ("not of parentheses", "not (a or b)", {"f": "b"}, False),
    ("nested parentheses", "((a) and not (b or (selection_1)))", {"f": "a"}, True),
    ("three of or", "selection_1 or selection_2 or a", {"f": "a"}, True),
    ("1 of a pattern", "1 of selection_*", {"h": "2"}, True),
    ("1 of a pattern, none", "1 of selection_*", {"f": "a"}, False),
    ("any of is 1 of", "any of selection_*", {"h": "2"}, True),
    ("all of a pattern", "all of selection_*", {"g": "1", "h": "2"}, True),
    ("all of a pattern, one", "all of selection_*", {"g": "1"}, False),
    ("a star in the middle", "1 of s*_2", {"g": "1"}, False),
    ("a pattern and another name", "1 of *_1", {"h": "2"}, False),
    ("a pattern without a star", "all of a", {"f": "a"}, True),
    ("not 1 of", "all of selection_* and not 1 of filter_*", {"g": "1", "h": "2"}, True),
    ("not 1 of, filtered", "all of selection_* and not 1 of filter_*", {"g": "1", "h": "2", "i": ""}, False),
    ("not all of", "not all of selection_*", {"g": "1"}, True),
    ("1 of them", "1 of them", {"i": "x"}, True),
    ("1 of them, without hidden ones", "1 of them", {"f": "hidden"}, False),
    ("all of them, without hidden ones", "all of them", {"f": ["a", "b"], "g": "1", "h": "2", "i": "x"}, True),
    ("all of them, one fails", "all of them", {"f": ["a", "b", "hidden"], "g": "1", "i": "x"}, False),
    ("a hidden one by its name", "_hidden", {"f": "hidden"}, True),
    ("line ends are blanks", "a\n  and not\tb", {"f": "a"}, True),
    ("a list of conditions", ["a and b", "selection_1"], {"g": "1"}, True),
    ("a list of conditions, none", ["a and b", "selection_1"], {"f": "a"}, False),
]

PLACEHOLDERS = {"admins": ["root", "adm*"], "ip": ["192.0.2.1"], "none": []}
EXPANSIONS = [
    ("the first value", {"f|expand": "%admins%"}, {"f": "Root"}, True),
    ("a value that is a pattern", {"f|expand": "%admins%"}, {"f": "administrator"}, True),
    ("no value", {"f|expand": "%admins%"}, {"f": "alice"}, False),
    ("within a text", {"f|expand": "user/%admins%@%ip%"}, {"f": "user/root@192.0.2.1"}, True),
    ("then contains", {"f|expand|contains": "%ip%"}, {"f": "from 192.0.2.1 on"}, True),
    ("after contains", {"f|contains|expand": "%ip%"}, {"f": "from 192.0.2.1 on"}, True),
    ("escaped percents", {"f|expand": r"\%plain%admins%"}, {"f": "%plainroot"}, True),
    ("a text without a name", {"f|expand": "alice"}, {"f": "alice"}, True),
    ("without the modifier percents are plain", {"f": "%admins%"}, {"f": "%admins%"}, True),
    ("a name of no values", {"f|expand": ["%none%", "alice"]}, {"f": "alice"}, True),
]

# What no rule may say, and what Sigma leaves open.
REFUSED_SELECTIONS: list[object] = [
    {}, [], "text", None, 5, [["a"]], {"f": []}, {"f": {"g": "a"}}, {"f": [["a"]]}, {5: "a"}, {"f": [{}]},
    [None], {"f|near": "a"}, {"f|": "a"}, {"f|i": "a"}, {"f|all": "a"}, {"f|all": ["a"]}, {"f|all|neq": ["a", "b"]},
    {"f|re": "("}, {"f|re": 5}, {"f|re|x": "a"}, {"f|i|re": "a"}, {"f|re|contains": "a"}, {"f|re|cased": "a"},
    {"f|cidr": "192.0.2.1/24"}, {"f|cidr": "192.0.2.0/33"}, {"f|cidr": "192.0.*"}, {"f|cidr": 5},
    {"f|cidr|contains": "192.0.2.0/24"}, {"f|exists": "true"}, {"f|exists": 1}, {"f|exists": [True, False]},
    {"f|gt": "5"}, {"f|gt": True}, {"f|gt": None}, {"f|gt": float("nan")}, {"f|gt|lt": 5}, {"f|gt|contains": 5},
    {"f": float("inf")}, {"f|contains": None}, {"f|contains": [None, "a"]}, {"f|cased": None},
    {"f|base64": "a*"}, {"f|contains|base64": "abc"}, {"f|base64": 5}, {"f|wide": "a?"}, {"f|wide": 5},
    {"f|utf16": "a"}, {"f|base64offset|contains": "a"}, {"f|windash": 5},
    {"f|fieldref": 5}, {"f|fieldref|re": "g"}, {"f|fieldref|startswith|endswith": "g"},
    {"f|hour": "6"}, {"f|hour": True}, {"f|hour|day": 6}, {"f|hour|contains": 6},
    {"f|expand": "%name%"}, {"f|expand": "100%"}, {"f|expand": 5},
    {"|startswith": "a"}, {"|cidr": "192.0.2.0/24"}, {"|exists": True}, {"|gt": 5}, {"|neq": "a"},
    {"|fieldref": "f"},
]  # fmt: skip

# name, detection
REFUSED: list[tuple[str, Mapping[str, object]]] = [
    ("no condition", {"s": {"f": "a"}}),
    ("an empty condition", {"s": {"f": "a"}, "condition": ""}),
    ("an empty list of conditions", {"s": {"f": "a"}, "condition": []}),
    ("a condition that is a number", {"s": {"f": "a"}, "condition": 1}),
    *(
        (f"the condition {condition!r}", {"s": {"f": "a"}, "t": {"f": "b"}, "_u": {"f": "c"}, "condition": condition})
        for condition in (
            "x", "s and", "and s", "s or or t", "not", "s t", "(s", "s)", "()", "1 of", "1 of x*", "2 of them",
            "s | count() > 5", "s AND t", "1 of *", "1 of _u",
        )
    ),
    *(
        (f"the selection {selection!r}", {"s": selection, "condition": "s"})
        for selection in REFUSED_SELECTIONS
    ),
    ("a pattern that is only the start of a name", {"st": {"f": "a"}, "condition": "1 of s"}),
    ("a fault in a selection that no document needs", {"s": {"f": "a"}, "t": {"f|near": "b"}, "condition": "s or t"}),
]  # fmt: skip


def named(rows: list[tuple[str, object, Mapping[str, object], bool]]) -> list[object]:
    """The rows as parameters, each under its name."""
    assert len({row[0] for row in rows}) == len(rows)
    return [pytest.param(*row[1:], id=row[0]) for row in rows]


@pytest.mark.parametrize(("selection", "document", "expected"), named(SELECTIONS))
def test_selection(selection: object, document: Mapping[str, object], expected: bool) -> None:
    """A selection means what the specification says, and `not` turns it into the opposite."""
    assert matches({"s": selection, "condition": "s"}, document) is expected
    assert matches({"s": selection, "condition": "not s"}, document) is not expected


@pytest.mark.parametrize(("condition", "document", "expected"), named(CONDITIONS))
def test_condition(condition: object, document: Mapping[str, object], expected: bool) -> None:
    """A condition joins selections by the precedence of the specification."""
    assert matches({**NAMES, "condition": condition}, document) is expected


@pytest.mark.parametrize(("selection", "document", "expected"), named([*EXPANSIONS]))
def test_placeholder(selection: object, document: Mapping[str, object], expected: bool) -> None:
    """A placeholder stands for each of its values."""
    assert matches({"s": selection, "condition": "s"}, document, PLACEHOLDERS) is expected


@pytest.mark.parametrize("detection", [pytest.param(detection, id=name) for name, detection in REFUSED])
def test_refusal(detection: Mapping[str, object]) -> None:
    """What has no certain meaning is refused before any document is looked at."""
    with pytest.raises(ValueError, match=r"\w"):
        compile_detection(detection)


@pytest.mark.parametrize(
    ("selection", "document"),
    [
        ({"f|hour": 6}, {"f": "2026-11-09T06:12:07+02:00"}),
        ({"f|re|i": r"\w"}, {"f": "é"}),
        ({"f": "a"}, {"f": {"g": "a"}}),
        ({"f": "a"}, {"f": [["a"]]}),
    ],
)
def test_document_that_cannot_be_judged(selection: object, document: Mapping[str, object]) -> None:
    """A document that is not flat is refused, and a value for which Sigma or Python have no answer."""
    with pytest.raises(ValueError, match=r"time zone|cannot be tried|a document holds"):
        matches({"s": selection, "condition": "s"}, document)


@given(st.text(), st.text())
def test_escaped_text_is_itself(text: str, other: str) -> None:
    """A text with every backslash and wildcard escaped equals itself and, with cased, nothing else."""
    escaped = re.sub(r"([\\*?])", r"\\\1", text)
    assert matches({"s": {"f": escaped}, "condition": "s"}, {"f": text})
    assert matches({"s": {"f|cased": escaped}, "condition": "s"}, {"f": other}) is (text == other)


@given(st.text("ab*?"), st.text("ab"))
def test_wildcards_as_a_regular_expression(pattern: str, text: str) -> None:
    """`*` and `?` match what `.*` and `.` match."""
    expression = pattern.replace("*", ".*").replace("?", ".")
    assert matches({"s": {"f": pattern}, "condition": "s"}, {"f": text}) is bool(re.fullmatch(expression, text))


@given(st.binary(max_size=5), st.text("xyé", min_size=2, max_size=6), st.binary(max_size=5))
def test_base64offset_finds_its_text_anywhere(before: bytes, text: str, after: bytes) -> None:
    """Whatever stands around a text, its encoding contains one of the three forms."""
    encoded = base64.b64encode(before + text.encode() + after).decode()
    assert matches({"s": {"f|base64offset|contains|cased": text}, "condition": "s"}, {"f": encoded})
