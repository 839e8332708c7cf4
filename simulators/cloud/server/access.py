"""Who calls (tokens, certificates, impersonation) and what RBAC lets him do.

The order is that of an API server: a wrong credential is 401, and none at all is the user ``system:anonymous``. Then
roles and bindings decide, which are objects of the store like any other. Only a user with a right can grant it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simulators.cloud.language.status import StatusError, forbidden_text
from simulators.cloud.server.store import Object, Store
from simulators.cloud.server.tokens import ISSUER, AccountTokens, TokenError

ROLES = "roles.rbac.authorization.k8s.io"
CLUSTER_ROLES = "clusterroles.rbac.authorization.k8s.io"
ROLE_BINDINGS = "rolebindings.rbac.authorization.k8s.io"
CLUSTER_ROLE_BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"
_GROUP = "rbac.authorization.k8s.io"
_MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request, and the groups that speak for him."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def authenticated(self) -> Caller:
        """The same with the group of everybody who showed a credential."""
        return Caller(self.name, (*self.groups, "system:authenticated"), self.uid, self.extra)

    @property
    def info(self) -> dict[str, Any]:
        """As ``userInfo`` of a review."""
        shown: dict[str, Any] = {"username": self.name}
        if self.uid:
            shown["uid"] = self.uid
        if self.groups:
            shown["groups"] = list(self.groups)
        if self.extra:
            shown["extra"] = {key: list(values) for key, values in self.extra.items()}
        return shown


_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)")
ANONYMOUS = Caller("system:anonymous", ("system:unauthenticated",))
#: The pool itself: its controllers call in process.
SYSTEM = Caller("system:kube-controller-manager", (_MASTERS,)).authenticated()


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a request wants, in RBAC's words: a verb on a resource, or on a path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """With its subresource, such as ``pods/status``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Access:
    """Tokens and certificates of one pool, and its RBAC."""

    def __init__(self, store: Store, accounts: AccountTokens) -> None:
        self._store = store
        self._tokens: dict[str, Caller] = {}
        #: Tokens of service accounts.
        self.accounts = accounts

    # ----------------------------------------------------------- who it is

    def add_token(self, token: str, user: str, *groups: str, uid: str = "") -> None:
        """Accept a bearer token for a user."""
        self._tokens[token] = Caller(user, groups, uid)

    def by_token(self, token: str, audiences: Sequence[str] = ()) -> tuple[Caller, list[str]]:
        """Who shows this token, and the audiences that it is for among those asked, which else is the API server.

        Raises:
            TokenError: It lets nobody in.
        """
        caller = self._tokens.get(token)
        if caller is not None and ISSUER in (audiences or (ISSUER,)):
            return caller.authenticated(), [ISSUER]
        if caller is None and (found := self.accounts.read(token, audiences)) is not None:
            user, shared = found
            return Caller(**user).authenticated(), shared
        raise TokenError("")

    def drop_token(self, token: str) -> None:
        """Stop accepting a token."""
        self._tokens.pop(token, None)

    def authenticate(self, authorization: str, certificate: Caller | None) -> Caller:
        """The caller: by certificate, else by token, else anonymous.

        Raises:
            StatusError: 401, the token is not known.
        """
        if certificate is not None:
            return certificate.authenticated()
        scheme, _, token = authorization.partition(" ")
        if not authorization or scheme.lower() != "bearer":
            return ANONYMOUS
        try:
            return self.by_token(token.strip())[0]
        except TokenError:
            raise StatusError(401, "Unauthorized", "Unauthorized") from None

    def impersonated(self, caller: Caller, wanted: Caller) -> Caller:
        """The user that a caller impersonates, if allowed.

        Raises:
            StatusError: 403, the caller may not.
        """
        asked = [Attributes("impersonate", resource="users", name=wanted.name)]
        groups = wanted.groups
        if account := _SERVICE_ACCOUNT.fullmatch(wanted.name):
            namespace, name = account.groups()
            asked = [Attributes("impersonate", resource="serviceaccounts", namespace=namespace, name=name)]
            groups = groups or ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        asked += [Attributes("impersonate", resource="groups", name=group) for group in wanted.groups]
        group = "authentication.k8s.io"
        if wanted.uid:
            asked.append(Attributes("impersonate", group, "uids", name=wanted.uid))
        for key, values in wanted.extra.items():
            asked += [Attributes("impersonate", group, "userextras", key, name=value) for value in values]
        for attributes in asked:
            self.authorize(caller, attributes)
        everybody = ANONYMOUS.groups if wanted.name == ANONYMOUS.name else ("system:authenticated",)
        named = {*everybody, *ANONYMOUS.groups} & {*groups}
        return replace(wanted, groups=groups if named else (*groups, *everybody))

    # -------------------------------------------------------- what he may do

    def authorize(self, caller: Caller, wanted: Attributes) -> None:
        """Check that RBAC allows a request.

        Raises:
            StatusError: 403.
        """
        allowed, reason = self.decision(caller, wanted)
        if not allowed:
            raise _forbidden(caller, wanted, reason)

    def allows(self, caller: Caller, wanted: Attributes) -> bool:
        """Whether RBAC allows it."""
        return self.decision(caller, wanted)[0]

    def decision(self, caller: Caller, wanted: Attributes) -> tuple[bool, str]:
        """Whether RBAC allows it, and why: by which binding, or which roles that are bound are not there."""
        if _MASTERS in caller.groups:
            return True, ""
        for binding, subject in self._bindings(caller, wanted.namespace):
            if any(_covers(rule, wanted) for rule in self._role_rules(binding)):
                return True, f"RBAC: allowed by {_described(binding, subject)}"
        missing = {
            f'{role["kind"].lower()}.{_GROUP} "{role["name"]}" not found'
            for role, namespace in (
                (binding["roleRef"], _namespace(binding)) for binding, _ in self._bindings(caller, wanted.namespace)
            )
            if self.role_rules(role, namespace) is None
        }
        listed = ", ".join(sorted(missing))
        return False, f"RBAC: {listed if len(missing) == 1 else f'[{listed}]'}" if missing else ""

    def rules(self, caller: Caller, namespace: str) -> Iterator[Mapping[str, Any]]:
        """All rules that apply to a user there, those of the cluster first."""
        for binding, _ in self._bindings(caller, namespace):
            yield from self._role_rules(binding)

    def lacking(self, caller: Caller, namespace: str, rules: Iterable[Mapping[str, Any]]) -> list[Attributes]:
        """The parts of rules that a user does not hold, and so can't grant."""
        if _MASTERS in caller.groups:
            return []
        held = list(self.rules(caller, namespace))
        return [part for rule in rules for part in _parts(rule) if not any(_covers(own, part) for own in held)]

    def role_rules(self, role_ref: Mapping[str, Any], namespace: str) -> list[Mapping[str, Any]] | None:
        """The rules of a role that a binding names; None where there is no such role."""
        cluster = role_ref["kind"] == "ClusterRole"
        key = ("" if cluster else namespace, role_ref["name"])
        role = self._store.get(CLUSTER_ROLES if cluster else ROLES, key)
        return None if role is None else list(role.get("rules") or ())

    def _bindings(self, caller: Caller, namespace: str) -> Iterator[tuple[Object, Mapping[str, Any]]]:
        """Bindings that bind a user there, each with the subject that is he, those of the cluster first."""
        there = self._store.list(ROLE_BINDINGS, namespace) if namespace else []
        for binding in (*self._store.list(CLUSTER_ROLE_BINDINGS), *there):
            if (subject := _subject(binding, caller)) is not None:
                yield binding, subject

    def _role_rules(self, binding: Object) -> list[Mapping[str, Any]]:
        return self.role_rules(binding["roleRef"], _namespace(binding)) or []


def _namespace(binding: Object) -> str:
    return str(binding["metadata"].get("namespace", ""))


def _subject(binding: Object, caller: Caller) -> Mapping[str, Any] | None:
    """The subject of a binding that a user is; None where it does not bind him."""
    subjects: Iterable[Mapping[str, Any]] = binding.get("subjects") or ()
    for subject in subjects:
        match subject["kind"]:
            case "User" if subject["name"] == caller.name:
                return subject
            case "Group" if subject["name"] in caller.groups:
                return subject
            case "ServiceAccount":
                where = subject.get("namespace") or _namespace(binding)
                if caller.name == f"system:serviceaccount:{where}:{subject['name']}":
                    return {**subject, "name": f"{subject['name']}/{where}"}
    return None


def _described(binding: Object, subject: Mapping[str, Any]) -> str:
    """A binding as reviews name it."""
    name, namespace, role = binding["metadata"]["name"], _namespace(binding), binding["roleRef"]
    called = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
    return f'{called} of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{subject["name"]}"'


def _covers(rule: Mapping[str, Any], wanted: Attributes) -> bool:
    if not _one_of(rule.get("verbs"), wanted.verb):
        return False
    if wanted.path:
        return any(fnmatch.fnmatchcase(wanted.path, url) for url in rule.get("nonResourceURLs") or ())
    if not _one_of(rule.get("apiGroups"), wanted.group):
        return False
    resources = rule.get("resources") or ()
    whole = {"*", wanted.full_resource}
    if wanted.subresource:
        whole.add(f"*/{wanted.subresource}")
    if not whole.intersection(resources):
        return False
    names = rule.get("resourceNames")
    return not names or wanted.name in names


def _one_of(allowed: Iterable[str] | None, word: str) -> bool:
    return any(one in {"*", word} for one in allowed or ())


def _parts(rule: Mapping[str, Any]) -> Iterator[Attributes]:
    """The single permissions of a rule."""
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield Attributes(verb, path=url)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                plural, _, part = resource.partition("/")
                for name in rule.get("resourceNames") or ("",):
                    yield Attributes(verb, group, plural, part, name=name)


def _forbidden(caller: Caller, wanted: Attributes, reason: str) -> StatusError:
    why = reason and f": {reason}"
    if wanted.path:
        text = f'forbidden: User "{caller.name}" cannot {wanted.verb} path "{wanted.path}"{why}'
        return StatusError(403, "Forbidden", text, details={})
    scope = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    text = (
        f'User "{caller.name}" cannot {wanted.verb} resource "{wanted.full_resource}" '
        f'in API group "{wanted.group}" {scope}{why}'
    )
    return forbidden_text(wanted.group, wanted.resource, wanted.name, text)


# ------------------------------------------------------------ what every pool has


def _rule(verbs: list[str], **what: list[str]) -> dict[str, Any]:
    return {"verbs": verbs, **what}


_BASIC = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"]
_VERSION = ["/version", "/version/"]
_ALL = _rule(["*"], apiGroups=["*"], resources=["*"])
#: Bootstrap roles: name, rules, groups that hold them.
_BOOTSTRAP: tuple[tuple[str, list[dict[str, Any]], tuple[str, ...]], ...] = (
    ("cluster-admin", [_ALL, _rule(["*"], nonResourceURLs=["*"])], (_MASTERS,)),
    ("system:discovery", [_rule(["get"], nonResourceURLs=[*_BASIC, *_VERSION])], ("system:authenticated",)),
    (
        "system:basic-user",
        [
            _rule(
                ["create"],
                apiGroups=["authorization.k8s.io"],
                resources=["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            ),
            _rule(["create"], apiGroups=["authentication.k8s.io"], resources=["selfsubjectreviews"]),
        ],
        ("system:authenticated",),
    ),
    (
        "system:public-info-viewer",
        [_rule(["get"], nonResourceURLs=["/healthz", "/livez", "/readyz", *_VERSION])],
        ("system:authenticated", "system:unauthenticated"),
    ),
    (
        "system:service-account-issuer-discovery",
        [_rule(["get"], nonResourceURLs=["/.well-known", "/.well-known/*"])],
        ("system:authenticated",),
    ),
)


def bootstrap() -> Iterator[tuple[str, Object]]:
    """The roles and bindings that a pool has from its beginning."""
    for name, rules, groups in _BOOTSTRAP:
        labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
        metadata = {"name": name, "labels": labels}
        head = {"apiVersion": f"{_GROUP}/v1", "metadata": metadata}
        yield CLUSTER_ROLES, {**head, "kind": "ClusterRole", "rules": rules}
        subjects = [{"kind": "Group", "apiGroup": _GROUP, "name": group} for group in groups]
        ref = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name}
        yield CLUSTER_ROLE_BINDINGS, {**head, "kind": "ClusterRoleBinding", "subjects": subjects, "roleRef": ref}
