"""The kinds of the table, each with what makes it wrong."""

from __future__ import annotations

from parity_custom import definition
from parity_kind import Kind, container, pod_spec, workload

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
_SUBJECT = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "parity"}
_RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
_CRD = definition()["spec"]
KINDS = [
    Kind(
        "configmaps",
        "ConfigMap",
        "/api/v1",
        {"data": {"a": "1"}},
        {"data": {"a": "2"}},
        {
            "number": {"data": {"a": 1}},
            "key": {"data": {"a b": "1"}},
            "twice": {"binaryData": {"a": "MQ=="}},
        },
        is_full=True,
    ),
    Kind(
        "secrets",
        "Secret",
        "/api/v1",
        {"data": {"a": "MQ=="}},
        {"stringData": {"b": "2"}},
        {
            "base64": {"data": {"a": "%"}},
            "key": {"data": {"a b": "MQ=="}},
            "type": {"type": "kubernetes.io/tls"},
        },
    ),
    Kind(
        "serviceaccounts", "ServiceAccount", "/api/v1", {}, {"automountServiceAccountToken": False}
    ),
    Kind(
        "services",
        "Service",
        "/api/v1",
        {"spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}},
        {"spec": {"selector": {"a": "c"}}},
        {
            "no-ports": {"spec": {"ports": None}},
            "port": {"spec": {"ports": [{"port": 70000}]}},
            "type": {"spec": {"type": "Wrong"}},
            "protocol": {"spec": {"ports": [{"port": 1, "protocol": "XXX"}]}},
            "unnamed": {"spec": {"ports": [{"port": 1}, {"port": 2}]}},
            "twice": {"spec": {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 1}]}},
            "target": {"spec": {"ports": [{"port": 1, "targetPort": "Not A Name"}]}},
            "external": {"spec": {"type": "ExternalName"}},
            "selector": {"spec": {"selector": {"a b": "c"}}},
            "node-port": {"spec": {"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]}},
            "affinity": {"spec": {"sessionAffinity": "Maybe"}},
            "address": {"spec": {"clusterIP": "1.2.3"}},
            "text-port": {"spec": {"ports": [{"port": "80"}]}},
        },
        is_full=True,
        differs={"create-bad-name": "service-name", "create-no-name": "service-name"},
    ),
    Kind(
        "endpoints",
        "Endpoints",
        "/api/v1",
        {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]},
        {"subsets": [{"addresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 81}]}]},
        {
            "address": {"subsets": [{"addresses": [{"ip": "nowhere"}], "ports": [{"port": 80}]}]},
            "port": {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 0}]}]},
        },
    ),
    Kind(
        "endpointslices",
        "EndpointSlice",
        "/apis/discovery.k8s.io/v1",
        {
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["192.0.2.1"]}],
            "ports": [{"port": 80}],
        },
        {"endpoints": [{"addresses": ["192.0.2.2"]}]},
        {
            "type": {"addressType": "Wrong"},
            "no-type": {"addressType": None},
            "address": {"endpoints": [{"addresses": ["nowhere"]}]},
        },
    ),
    Kind(
        "events",
        "Event",
        "/api/v1",
        {
            "involvedObject": {"kind": "Pod", "namespace": "{ns}", "name": "x"},
            "reason": "R",
            "message": "m",
            "type": "Normal",
        },
        {"message": "n"},
        {"namespace": {"involvedObject": {"namespace": "other"}}},
    ),
    Kind(
        "pods",
        "Pod",
        "/api/v1",
        {"spec": pod_spec()},
        {"spec": {"activeDeadlineSeconds": 60}},
        {
            "no-spec": {"spec": None},
            "no-containers": {"spec": {"containers": []}},
            "no-image": {"spec": {"containers": [{"name": "a"}]}},
            "no-name": {"spec": {"containers": [{"image": "a"}]}},
            "container-name": {"spec": {"containers": [container(name="A_b")]}},
            "twice": {"spec": {"containers": [container(), container()]}},
            "policy": {"spec": {"restartPolicy": "Sometimes"}},
            "pull": {"spec": {"containers": [container(imagePullPolicy="Maybe")]}},
            "port": {"spec": {"containers": [container(ports=[{"containerPort": 0}])]}},
            "port-name": {
                "spec": {
                    "containers": [
                        container(ports=[{"containerPort": 1, "name": "Much too long a name"}])
                    ]
                }
            },
            "protocol": {
                "spec": {"containers": [container(ports=[{"containerPort": 1, "protocol": "XXX"}])]}
            },
            "quantity": {
                "spec": {"containers": [container(resources={"requests": {"memory": "a lot"}})]}
            },
            "requests": {
                "spec": {
                    "containers": [
                        container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})
                    ]
                }
            },
            "negative": {
                "spec": {"containers": [container(resources={"requests": {"cpu": "-1"}})]}
            },
            "resource": {"spec": {"containers": [container(resources={"limits": {"gold": "1"}})]}},
            "env-name": {"spec": {"containers": [container(env=[{"name": ""}])]}},
            "env-both": {
                "spec": {
                    "containers": [
                        container(
                            env=[
                                {
                                    "name": "A",
                                    "value": "b",
                                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                                }
                            ]
                        )
                    ]
                }
            },
            "env-field": {
                "spec": {
                    "containers": [
                        container(
                            env=[
                                {
                                    "name": "A",
                                    "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}},
                                }
                            ]
                        )
                    ]
                }
            },
            "env-number": {"spec": {"containers": [container(env=[{"name": "A", "value": 1}])]}},
            "mount": {
                "spec": {
                    "containers": [container(volumeMounts=[{"name": "none", "mountPath": "/x"}])]
                }
            },
            "volume-name": {"spec": {"volumes": [{"name": "A b", "emptyDir": {}}]}},
            "volume-twice": {
                "spec": {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]}
            },
            "volume-both": {
                "spec": {"volumes": [{"name": "a", "emptyDir": {}, "configMap": {"name": "x"}}]}
            },
            "volume-none": {"spec": {"volumes": [{"name": "a"}]}},
            "account": {"spec": {"serviceAccountName": "nobody"}},
            "grace": {"spec": {"terminationGracePeriodSeconds": -1}},
            "deadline": {"spec": {"activeDeadlineSeconds": 0}},
            "dns": {"spec": {"dnsPolicy": "Wrong"}},
            "selector": {"spec": {"nodeSelector": {"a b": "c"}}},
            "toleration": {"spec": {"tolerations": [{"operator": "Wrong"}]}},
            "probe": {
                "spec": {
                    "containers": [
                        container(readinessProbe={"periodSeconds": -1, "tcpSocket": {"port": 1}})
                    ]
                }
            },
            "probe-none": {
                "spec": {"containers": [container(readinessProbe={"periodSeconds": 1})]}
            },
            "probe-two": {
                "spec": {
                    "containers": [
                        container(
                            livenessProbe={"tcpSocket": {"port": 1}, "exec": {"command": ["a"]}}
                        )
                    ]
                }
            },
            "text-replicas": {"spec": {"priority": "high"}},
            "containers-map": {"spec": {"containers": {"a": "b"}}},
            "termination": {"spec": {"containers": [container(terminationMessagePolicy="Never")]}},
            "hostname": {"spec": {"hostname": "A_b"}},
        },
        is_full=True,
    ),
    Kind(
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        "/api/v1",
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            }
        },
        {"metadata": {"labels": {"c": "d"}}},
        {
            "no-modes": {"spec": {"accessModes": None}},
            "mode": {"spec": {"accessModes": ["Wrong"]}},
            "no-size": {"spec": {"resources": None}},
        },
    ),
    Kind(
        "resourcequotas",
        "ResourceQuota",
        "/api/v1",
        {"spec": {"hard": {"pods": "10", "requests.cpu": "4"}}},
        {"spec": {"hard": {"pods": "11"}}},
        {
            "quantity": {"spec": {"hard": {"pods": "many"}}},
            "negative": {"spec": {"hard": {"pods": "-1"}}},
            "name": {"spec": {"hard": {"nonsense": "1"}}},
        },
    ),
    Kind(
        "deployments",
        "Deployment",
        "/apis/apps/v1",
        {"spec": workload()},
        {"spec": {"minReadySeconds": 1}},
        {
            "no-selector": {"spec": {"selector": None}},
            "selector": {"spec": {"selector": {"matchLabels": {"app": "other"}}}},
            "no-template": {"spec": {"template": None}},
            "negative": {"spec": {"replicas": -1}},
            "text": {"spec": {"replicas": "two"}},
            "policy": {"spec": {"template": {"spec": {"restartPolicy": "Never"}}}},
            "strategy": {"spec": {"strategy": {"type": "Wrong"}}},
            "no-image": {"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}},
        },
        is_full=True,
    ),
    Kind(
        "replicasets",
        "ReplicaSet",
        "/apis/apps/v1",
        {"spec": workload()},
        {"spec": {"minReadySeconds": 1}},
        {"no-selector": {"spec": {"selector": None}}, "negative": {"spec": {"replicas": -1}}},
    ),
    Kind(
        "jobs",
        "Job",
        "/apis/batch/v1",
        {"spec": {"suspend": True, "template": {"spec": pod_spec(restartPolicy="Never")}}},
        {"spec": {"parallelism": 2}},
        {
            "no-policy": {"spec": {"template": {"spec": pod_spec()}}},
            "no-template": {"spec": {"template": None}},
            "selector": {"spec": {"selector": {"matchLabels": {"a": "b"}}}},
            "negative": {"spec": {"backoffLimit": -1}},
        },
    ),
    Kind(
        "leases",
        "Lease",
        "/apis/coordination.k8s.io/v1",
        {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}},
        {"spec": {"holderIdentity": "b"}},
        {
            "duration": {"spec": {"leaseDurationSeconds": 0}},
            "time": {"spec": {"renewTime": "yesterday"}},
        },
    ),
    Kind(
        "roles",
        "Role",
        _RBAC,
        {"rules": [_RULE]},
        {"rules": [_RULE | {"verbs": ["list"]}]},
        {
            "no-verbs": {"rules": [{"apiGroups": [""], "resources": ["pods"]}]},
            "paths": {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]},
            "no-groups": {"rules": [{"resources": ["pods"], "verbs": ["get"]}]},
        },
    ),
    Kind(
        "rolebindings",
        "RoleBinding",
        _RBAC,
        {"roleRef": _ROLE_REF, "subjects": [_SUBJECT]},
        {"subjects": [_SUBJECT | {"name": "q"}]},
        {
            "no-ref": {"roleRef": None},
            "ref-kind": {"roleRef": {"kind": "Pod"}},
            "subject-kind": {"subjects": [{"kind": "Cat", "name": "x"}]},
            "account": {"subjects": [{"kind": "ServiceAccount", "name": "x"}]},
        },
    ),
    Kind(
        "clusterroles",
        "ClusterRole",
        _RBAC,
        {"rules": [_RULE]},
        {"rules": [_RULE | {"verbs": ["list"]}]},
        {"no-verbs": {"rules": [{"apiGroups": [""], "resources": ["pods"]}]}},
        namespaced=False,
        is_full=True,
        differs={"list-next": "last-page"},
    ),
    Kind(
        "clusterrolebindings",
        "ClusterRoleBinding",
        _RBAC,
        {"roleRef": _ROLE_REF, "subjects": [_SUBJECT]},
        {"subjects": [_SUBJECT | {"name": "q"}]},
        {"no-ref": {"roleRef": None}, "ref-kind": {"roleRef": {"kind": "Role"}}},
        namespaced=False,
    ),
    Kind(
        "namespaces",
        "Namespace",
        "/api/v1",
        {},
        {"metadata": {"annotations": {"a": "b"}}},
        namespaced=False,
    ),
    Kind("nodes", "Node", "/api/v1", {}, {"spec": {"unschedulable": True}}, namespaced=False),
    Kind(
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "/apis/apiextensions.k8s.io/v1",
        {"spec": _CRD},
        {"metadata": {"annotations": {"a": "b"}}},
        {},
        namespaced=False,
    ),
    Kind(
        "things",
        "Thing",
        "/apis/{ns}.example.org/v1",
        {"spec": {"size": 1}},
        {"spec": {"size": 2}},
        {
            "no-spec": {"spec": None},
            "no-size": {"spec": {"size": None}},
            "text": {"spec": {"size": "big"}},
            "low": {"spec": {"size": -1}},
            "high": {"spec": {"size": 11}},
            "enum": {"spec": {"mode": "other"}},
            "long": {"spec": {"name": "abcdefg"}},
            "pattern": {"spec": {"name": "A"}},
            "rule": {"spec": {"minimum": 2, "maximum": 1}},
            "many": {"spec": {"ports": [{"port": i} for i in range(5)]}},
            "twice": {"spec": {"ports": [{"port": 1}, {"port": 1}]}},
            "item": {"spec": {"ports": [{}]}},
            "either": {"spec": {"either": []}},
            "spec-list": {"spec": []},
            "two": {"spec": {"size": "x", "mode": 3}},
        },
        is_custom=True,
        is_full=True,
        differs=dict.fromkeys(
            ("post-to-name", "put-to-collection", "unknown-subresource", "unknown-method"),
            "custom-paths",
        ),
    ),
]
