"""An extension of Griffe: docstrings as Sphinx reads them, in Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":\w+:`~?([\w.]+)`")


class Docstrings(griffe.Extension):
    """Roles become links, and what ``as_function`` makes becomes a function."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Visit what the package defines."""
        self._visit(pkg)

    def _visit(self, parent: griffe.Module | griffe.Class) -> None:
        for name, member in list(parent.members.items()):
            if member.is_alias:
                continue
            if member.is_attribute and str(member.value).startswith("as_function("):
                parent.set_member(name, made_by_class(name, member))
            elif member.docstring:
                member.docstring.value = linked(member.docstring.value, member)
                set_types(member)
            if member.is_module or member.is_class:
                self._visit(member)


def made_by_class(name: str, attribute: griffe.Attribute) -> griffe.Function:
    """Return the function that ``as_function(CLASS, NAME)`` returns."""
    cls = attribute.parent[str(attribute.value.arguments[0])]
    made = griffe.Function(
        name,
        parameters=griffe.Parameters(*list(cls.parameters)[1:]),
        returns=cls.name,
        parent=attribute.parent,
        docstring=griffe.Docstring(f"Make {cls.name}; same arguments."),
    )
    return made


def set_types(member: griffe.Object) -> None:
    """Give parameters documented together each its own type and default, not those of the first."""
    if not (member.is_class or member.is_function):
        return
    for section in member.docstring.parsed:
        if section.kind is griffe.DocstringSectionKind.parameters:
            for documented in section.value:
                if documented.name in member.parameters:
                    real = member.parameters[documented.name]
                    documented.annotation, documented.value = real.annotation, real.default


def linked(text: str, member: griffe.Object) -> str:
    """Return a docstring with a link for each role: to a public name, or a method of the class."""

    def replace(match: re.Match[str]) -> str:
        name = match[1].rpartition(".")[2]
        cls = member.parent if member.is_function else member
        if cls.is_class and name in cls.all_members:
            path = f"{cls.path}.{name}"
        elif match[1].startswith("cv2_superpoint."):
            path = match[1]
        else:
            path = f"cv2_superpoint.{name}"
        return f'<autoref identifier="{path}" optional>`{name}`</autoref>'

    return ROLE.sub(replace, text)
