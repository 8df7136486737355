"""Encoders, proxies, clusterers, and what can run a pipeline elsewhere."""

from coreset_engine.core.registry.rows import Row, table

_E = "coreset_engine.embedding.encoders."
ENCODERS: dict[str, Row] = table(
    Row(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0",
        function=_E + "networks:efficientnet_lite0",
        config=_E + "base:EncoderConfig",
        summary="EfficientNet-Lite0, ImageNet; weights included, works offline; D = 1280",
        needs=("images",),
    ),
    Row(
        name="efficientnet_lite1",
        title="EfficientNet-Lite1",
        function=_E + "networks:efficientnet_lite1",
        config=_E + "base:EncoderConfig",
        summary="EfficientNet-Lite1, ImageNet, through timm; D = 1280",
        needs=("images", "download"),
    ),
    Row(
        name="efficientnet_lite2",
        title="EfficientNet-Lite2",
        function=_E + "networks:efficientnet_lite2",
        config=_E + "base:EncoderConfig",
        summary="EfficientNet-Lite2, ImageNet, through timm; D = 1280",
        needs=("images", "download"),
    ),
    Row(
        name="resnet18",
        title="ResNet-18",
        function=_E + "networks:resnet18",
        config=_E + "base:EncoderConfig",
        summary="ResNet-18, ImageNet, torchvision; D = 512",
        needs=("images", "download"),
        paper="BlindCS 5.1 (with clip)",
    ),
    Row(
        name="resnet50_swav",
        title="ResNet-50 (SwAV)",
        function=_E + "networks:resnet50_swav",
        config=_E + "base:EncoderConfig",
        summary="ResNet-50 trained by SwAV without labels; D = 2048",
        needs=("images", "download"),
        paper="ELFS table 1",
    ),
    Row(
        name="clip",
        title="CLIP ViT-L/14",
        function=_E + "networks:clip",
        config=_E + "base:EncoderConfig",
        summary="CLIP ViT-L-14 of OpenAI, open_clip; D = 768; resnet18+clip is BlindCS' 1280",
        needs=("images", "download"),
        paper="BlindCS 5.1 (with resnet18)",
    ),
    Row(
        name="dino",
        title="DINO ViT-B/16",
        function=_E + "networks:dino",
        config=_E + "base:EncoderConfig",
        summary="DINO ViT-B/16 trained without labels, timm; D = 768",
        needs=("images", "download"),
        paper="ELFS 4.1",
    ),
    Row(
        name="dinov2",
        title="DINOv2 ViT-B/14",
        function=_E + "networks:dinov2",
        config=_E + "base:EncoderConfig",
        summary="DINOv2 ViT-B/14 trained without labels, timm; D = 768",
        needs=("images", "download"),
    ),
)
# What runs the work of a pipeline elsewhere -> "module:class", made with the cluster's address.
EXECUTORS: dict[str, str] = {"ray": "coreset_engine.distributed.executor:RayExecutor"}

_T = "coreset_engine.training."
PROXIES: dict[str, Row] = table(
    Row(
        name="mlp",
        title="MLP on embeddings",
        function=_T + "proxies:mlp",
        config=_T + "config:ProxyConfig",
        summary="one hidden layer on embeddings; seconds on a CPU",
        needs=("vectors",),
    ),
    Row(
        name="linear",
        title="Linear on embeddings",
        function=_T + "proxies:linear",
        config=_T + "config:LinearConfig",
        summary="softmax regression on embeddings; seconds",
        needs=("vectors",),
    ),
    Row(
        name="convnet",
        title="Small CNN on pixels",
        function=_T + "networks:convnet",
        config=_T + "config:ConvnetConfig",
        summary="small convolutional net on pixels; minutes on a CPU",
        needs=("images",),
    ),
    Row(
        name="resnet18",
        title="ResNet-18 on pixels",
        function=_T + "networks:resnet18",
        config=_T + "config:ResnetConfig",
        summary="ResNet-18 on pixels, ELFS' setting (200 epochs); needs a GPU",
        needs=("images",),
        paper="ELFS 8.2",
    ),
    Row(
        name="resnet34",
        title="ResNet-34 on pixels",
        function=_T + "networks:resnet34",
        config=_T + "config:ResnetConfig",
        summary="ResNet-34 on pixels; needs a GPU",
        needs=("images",),
        paper="ELFS 8.2",
    ),
    Row(
        name="resnet50",
        title="ResNet-50 on pixels",
        function=_T + "networks:resnet50",
        config=_T + "config:ResnetConfig",
        summary="ResNet-50 on pixels; needs a GPU",
        needs=("images",),
        paper="ELFS table 4",
    ),
)

_C = "coreset_engine.clustering."
CLUSTERERS: dict[str, Row] = table(
    Row(
        name="temi",
        title="Ensemble of cluster heads (TEMI)",
        function=_C + "temi:temi",
        config=_C + "config:TemiConfig",
        summary="ensemble of clustering heads trained to agree on nearest neighbours",
        needs=("vectors", "neighbours"),
        paper="Adaloglou et al. 2023 (TEMI); ELFS 3.3",
    ),
    Row(
        name="kmeans",
        title="Spherical k-means",
        function=_C + "kmeans:spherical_kmeans",
        config=_C + "config:KMeansConfig",
        summary="spherical k-means on unit vectors",
        needs=("vectors",),
    ),
)
