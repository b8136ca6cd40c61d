"""Every key of the configuration: default, unit and meaning."""

from yacs.config import CfgNode

_C = CfgNode()
_C.NAME = "experiment"  # run folder name, below OUTPUT_DIR
_C.OUTPUT_DIR = "outputs"  # folder of all run folders
_C.STAGE = "teacher"  # teacher | student | supervised | adapt | self_distillation
_C.SEED = 0

_C.DATA = CfgNode()
# nuscenes | robotcar | kitti | drivingstereo | cityscapes | image_folder; booster | cleargrasp (evaluation only)
_C.DATA.SOURCE = "nuscenes"
_C.DATA.ROOT = "data/nuscenes"
_C.DATA.VERSION = "v1.0-trainval"  # of nuScenes
# What nuScenes' frames are taken for. md4all: conditions, intrinsics, ends of scenes and float32 projection as there,
# for comparison with published numbers; corrected: what data_splits/README.md names as its mistakes put right.
_C.DATA.RULES = "corrected"  # corrected | md4all
_C.DATA.ROBOTCAR_SDK = ""  # folder with models/ and extrinsics/ of the SDK; "" = beside the raw data, or PYTHONPATH
_C.DATA.SPLIT_TRAIN = "train"  # split of the source (day-clear frames only) or a file with "frame_id condition" lines
_C.DATA.SPLIT_VAL = "val"  # split of the source or such a file; all conditions
# Recording conditions of the real frames that STAGE adapt goes on with: day-rain, night-clear, night-rain. All other
# stages learn from day-clear frames, and from what a split file lists
_C.DATA.CONDITIONS = ()
_C.DATA.MIN_SPEED = 0.5  # [m/s] slower training frames are left out; needs a source with poses
_C.DATA.CROP = (0, 0, 0, 0)  # (top, left, height, width) of native frames that is used [px]; 0 0 0 0 = all
_C.DATA.SIZE = (320, 576)  # (height, width) of images in the losses [px]; multiples of 32
_C.DATA.FRAME_OFFSETS = (-1, 1)  # neighbours, counted in frames of the camera; () without order, and for adapt
_C.DATA.COLOR_JITTER = (0.2, 0.2, 0.2, 0.05)  # strengths of brightness, contrast, saturation and hue
_C.DATA.FLIP_PROB = 0.5
_C.DATA.NOISE_PROB = 0.0  # chance of Gaussian noise on the depth input; md4all's students on nuScenes have 0.5
_C.DATA.SQUARE_CROP = False  # self-distillation: train on random squares as high as the image
_C.DATA.EXCLUDE = ""  # broken.json of tools/check_data.py: the frames in it are left out
_C.DATA.ON_ERROR = "raise"  # raise | skip: what a frame that cannot be read does to training and evaluation
_C.DATA.MAX_SKIPPED = 0.01  # share of the frames above which skipping ends the run all the same
_C.DATA.CACHE = False  # keep resized uint8 frames in memory; every loader process has its own
_C.DATA.CACHE_ROOT = ""  # folder of tools/cache_frames.py with decoded and resized frames and LiDAR depth
_C.DATA.CACHE_ON_DEVICE = False  # keep the frames of CACHE_ROOT in the memory of the training device
_C.DATA.INDEX_ROOT = ""  # where indices of big tables are kept; "" = the user's cache folder

_C.DATA.TRANSLATED = CfgNode()
_C.DATA.TRANSLATED.ROOT = ""  # folder written by tools/translate.py; the student needs one, supervised may have
_C.DATA.TRANSLATED.CONDITIONS = ("night", "rain")
_C.DATA.TRANSLATED.PROB = "auto"  # probability of a translated frame; auto = n / (n + 1) for n conditions

_C.TRANSLATOR = CfgNode()
_C.TRANSLATOR.KIND = "simulated"  # simulated | diffusion
_C.TRANSLATOR.CONDITIONS = ("night", "rain")  # or night_rain, snow, fog, those of CONDITIONS_FILE
_C.TRANSLATOR.CONDITIONS_FILE = ""  # YAML file with conditions of your own: phrases, negative prompt, ranges
# Images to make of the conditions' words alone, with a PIPELINE that takes nothing else; 0 = translate frames of DATA
_C.TRANSLATOR.GENERATE = 0
_C.TRANSLATOR.SIZE = (432, 768)  # (height, width) the translator works at [px]; multiples of 8
_C.TRANSLATOR.BATCH_SIZE = 4
_C.TRANSLATOR.DEPTH_MODEL = ""  # depth for the control: run folder of a teacher, hub id or folder of a depth model
_C.TRANSLATOR.DEPTH_TILES = 1  # 1 = whole image; n = also n x n overlapping tiles, aligned to the whole image's depth
_C.TRANSLATOR.CAPTIONER = ""  # BLIP-2 or BLIP that captions the day frames: hub id or folder; "" = phrases alone
_C.TRANSLATOR.REFERENCES = ""  # folder with a subfolder of reference images per condition; needed with an IP-Adapter
_C.TRANSLATOR.MATCH_BRIGHTNESS = ()  # conditions whose results get mean and spread of brightness of a reference
# Keys of KIND diffusion. Weights are hub ids, which may end in @revision, or local folders.
_C.TRANSLATOR.PIPELINE = "StableDiffusionControlNetPipeline"  # class of diffusers
_C.TRANSLATOR.BASE_MODEL = "stable-diffusion-v1-5/stable-diffusion-v1-5"
_C.TRANSLATOR.VAE = ""  # autoencoder in place of the base model's
_C.TRANSLATOR.CONTROL = "lllyasviel/control_v11f1p_sd15_depth"  # ControlNet or T2I-Adapter for depth; "" where none
_C.TRANSLATOR.CONTROL_SCALE = 1.0
_C.TRANSLATOR.EDGES = ""  # ControlNet for Canny edges beside the depth
_C.TRANSLATOR.EDGES_SCALE = 0.5
_C.TRANSLATOR.IP_ADAPTER = "h94/IP-Adapter"  # "" = no image prompt
_C.TRANSLATOR.IP_ADAPTER_WEIGHTS = "ip-adapter_sd15.safetensors"  # file in IP_ADAPTER_FOLDER
_C.TRANSLATOR.IP_ADAPTER_FOLDER = "models"  # sdxl_models for SDXL
_C.TRANSLATOR.IP_ADAPTER_ENCODER = "models/image_encoder"  # folder of the image encoder
_C.TRANSLATOR.IP_ADAPTER_SCALE = 0.5
_C.TRANSLATOR.LORA = ""  # few-step or style LoRA
_C.TRANSLATOR.LORA_WEIGHTS = "pytorch_lora_weights.safetensors"  # file in LORA
_C.TRANSLATOR.LORA_SCALE = 1.0
_C.TRANSLATOR.SCHEDULER = "UniPCMultistepScheduler"  # class of diffusers
_C.TRANSLATOR.TIMESTEP_SPACING = ""  # leading | trailing | linspace; "" = the base model's or the scheduler's default
_C.TRANSLATOR.STEPS = 20
_C.TRANSLATOR.GUIDANCE_SCALE = 7.5
_C.TRANSLATOR.IMAGE_GUIDANCE_SCALE = 1.5  # InstructPix2Pix: weight of the day frame
_C.TRANSLATOR.STRENGTH = 0.8  # img2img: share of the steps that are run; 1 = from noise
_C.TRANSLATOR.DTYPE = "auto"  # float32 | float16 | bfloat16; auto = float16 on CUDA, float32 elsewhere
_C.TRANSLATOR.COMPILE = False  # torch.compile of the denoising networks; needs a C++ compiler
_C.TRANSLATOR.VAE_SLICING = False  # decode image by image: less memory

_C.TRANSLATOR.QUALITY = CfgNode()
_C.TRANSLATOR.QUALITY.ENABLED = True  # False: only unreadable, constant and black results are refused
_C.TRANSLATOR.QUALITY.ATTEMPTS = 3  # seeds to try before an image is put into quarantine
_C.TRANSLATOR.QUALITY.STRUCTURE = "auto"  # least correlation of log-gradients; auto = calibrated on mismatched pairs
_C.TRANSLATOR.QUALITY.DEPTH = 0.0  # largest mean relative difference of aligned depth to the control; 0 = off
_C.TRANSLATOR.QUALITY.MAX_REJECTED = 0.1  # share in quarantine above which the tool ends with exit code 3

_C.FINETUNE = CfgNode()  # tools/train_translator.py; control depth, captions and weights to start from: TRANSLATOR
_C.FINETUNE.KIND = "lora"  # lora | controlnet | both | scratch (a small translator of its own for a small world)
_C.FINETUNE.FRAMES = ""  # folder with a subfolder of frames per condition
_C.FINETUNE.CONDITIONS = ("night", "rain")  # subfolders to learn from
_C.FINETUNE.MAX_FRAMES = 2000  # per condition, evenly spread; they are kept in memory, at 432 x 768 1.3 MB each
_C.FINETUNE.FLIP_PROB = 0.5  # chance to mirror a frame
_C.FINETUNE.STEPS = 2000
_C.FINETUNE.BATCH_SIZE = 4
_C.FINETUNE.LR = 1e-4
_C.FINETUNE.WARMUP = 100  # [steps]
_C.FINETUNE.GRAD_CLIP = 1.0  # norm; 0 = off
_C.FINETUNE.RANK = 16  # of the LoRA
_C.FINETUNE.RECOMPUTE = True  # activations in the backward pass: a third slower, in a fraction of the memory
# Keys of KIND scratch. The autoencoder comes first, STEPS are those of the diffusion model.
_C.FINETUNE.AUTOENCODER_STEPS = 2600
_C.FINETUNE.AUTOENCODER_WIDTH = 32  # channels
_C.FINETUNE.LATENT_CHANNELS = 6  # of a latent for 4 x 4 px
_C.FINETUNE.LR_AUTOENCODER = 2e-3
_C.FINETUNE.WIDTHS = (32, 96, 160)  # channels of the U-Net's levels, from fine to coarse; multiples of 16
_C.FINETUNE.AVERAGE = 0.998  # share of the moving average of the weights that a step keeps, 0..1

_C.MODEL = CfgNode()
_C.MODEL.DEPTH = CfgNode()
# tiny | resnet_small | resnet18 | resnet50 | dinov2_vits14 | dinov2_vitb14 | dinov2_vitl14, which read the blocks of
# Depth Anything V2; with _last4 behind the name those of V1
_C.MODEL.DEPTH.BACKBONE = "dinov2_vitb14"
_C.MODEL.DEPTH.PRETRAINED = True  # start from MODEL.DEPTH.WEIGHTS; tiny and resnet_small have none of their own
# "" = DINOv2 of the backbone's size, or ImageNet for a ResNet. Else hub id, folder or file of DINOv2 or Depth Anything,
# a torchvision file for a ResNet, or the run folder of tools/train.py or tools/convert.py
_C.MODEL.DEPTH.WEIGHTS = ""
# What training changes of the encoder. lora: a low-rank addition to DINOv2's attention, merged in when the run is
# saved; it is small and new, so that its SOLVER.LR_ENCODER is 1e-4 or so
_C.MODEL.DEPTH.ENCODER = "train"  # train (all of it) | frozen (nothing) | lora
_C.MODEL.DEPTH.LORA_RANK = 16
_C.MODEL.DEPTH.NORMALISATION = "imagenet"  # imagenet | monodepth2 | md4all_{nuscenes,robotcar}_{day,night}
_C.MODEL.DEPTH.INPUT_SIZE = (518, 784)  # (height, width) the network sees [px]
_C.MODEL.DEPTH.NUM_SCALES = 4  # 1..4
_C.MODEL.DEPTH.MIN = 0.1  # nearest depth the decoder can say [m]
_C.MODEL.DEPTH.MAX = 80.0  # farthest [m]
_C.MODEL.POSE = "learned"  # learned | ego
_C.MODEL.POSE_PRETRAINED = True  # ImageNet weights for the pose encoder
_C.MODEL.TEACHER = ""  # run folder of the teacher; the student needs one, and adapt that of a student
_C.MODEL.DAY_TEACHER = ""  # adapt: run folder of the day teacher; "" = the one of the student's run
_C.MODEL.INIT_FROM_TEACHER = True
# Keep what the frozen teacher says about each frame in the run folder until the run finishes, so that it runs in the
# first epoch only. Takes 0.7 MB per frame of 320 x 576, 1.5 MB with LOSS.RELIABILITY: 11 or 22 GB for nuScenes.
# Superpixels (LOSS.RELIABILITY_REGIONS) take 0.7 MB more, so does a model in MODEL.ORDINAL, and
# LOSS.RELIABILITY_OUT_OF_VIEW keep or drop 2.2 MB with two neighbours.
_C.MODEL.TEACHER_CACHE = True
# Depth model of transformers that distils itself: hub id, folder, or run folder of another self-distillation
_C.MODEL.FOUNDATION = ""
_C.MODEL.SEMANTIC = "facebook/dinov2-base"  # frozen encoder of the semantic loss: hub id, folder, or "teacher"
_C.MODEL.ORDINAL = "teacher"  # model of relative depth for LOSS.ORDINAL: hub id, folder, or the frozen teacher

_C.LOSS = CfgNode()
_C.LOSS.PHOTOMETRIC = 1.0  # weight
_C.LOSS.SSIM_WEIGHT = 0.85  # share of DSSIM in the photometric error, 0..1
_C.LOSS.AUTOMASK = True  # leave out pixels that fit better without any motion
_C.LOSS.SMOOTHNESS = 1e-3  # weight
_C.LOSS.VELOCITY = 0.02  # weight
_C.LOSS.DISTILLATION = 1.0  # weight
_C.LOSS.RELIABILITY = "teacher_better"  # pixels kept in distillation: teacher_better | as_printed | off
_C.LOSS.RELIABILITY_SOURCES = "min"  # how the errors of several sources become one: min | mean
# Pixels that leave the view of every source: compared as the others, against the smeared border; kept or dropped.
# With LOSS.RELIABILITY_REGIONS drop leaves out the regions of which nothing is seen, no single pixels
_C.LOSS.RELIABILITY_OUT_OF_VIEW = "compare"  # compare | keep | drop
_C.LOSS.RELIABILITY_MARGIN = 0.0  # errors (0..1) no further apart tie, and the teacher is believed: sky, plain walls
_C.LOSS.RELIABILITY_REGIONS = 0  # superpixels per frame whose mean errors are compared; 0 = pixel by pixel
_C.LOSS.SEMANTIC = 0.1  # weight
_C.LOSS.SEMANTIC_MARGIN = 1.0  # cosine above which a patch no longer counts; 1 = off
_C.LOSS.FEATURES = 0.0  # weight of equal encoder features on input and clean frame; one more pass. ACDepth: 0.02
_C.LOSS.ORDINAL = 0.0  # weight of the order of pixels on which student and teacher differ most. ACDepth: 0.01
_C.LOSS.SUPERVISED = "silog"  # error at the LiDAR returns of the supervised stage: silog | l1 [m]
# What silog takes off for an error that all of an image shares, 0..1: Eigen et al. 0.5, BTS and AdaBins 0.85
_C.LOSS.SUPERVISED_VARIANCE = 0.5
# adapt: a pseudo-label weighs exp(-BETA * relative difference to the day teacher) + EPS; Syn2Real-Depth has 1 and 1
_C.LOSS.AGREEMENT_BETA = 1.0
_C.LOSS.AGREEMENT_EPS = 1.0
_C.LOSS.HISTOGRAM = 0.0  # adapt: weight of the daytime distribution of depth. Syn2Real-Depth: 0.001
_C.LOSS.ALIGNMENT = "median"  # self-distillation: median (and mean deviation) | least_squares
_C.LOSS.GRADIENT_MATCHING = 0.0  # self-distillation: weight of MiDaS's gradient term, 0.5 there

_C.SOLVER = CfgNode()
_C.SOLVER.EPOCHS = 20
_C.SOLVER.BATCH_SIZE = 4  # per device
_C.SOLVER.LR_ENCODER = 5e-6
_C.SOLVER.LR_DECODER = 5e-5
_C.SOLVER.LR_POSE = 1e-4
_C.SOLVER.WEIGHT_DECAY = 0.01
_C.SOLVER.SCHEDULE = "linear"  # linear (decay to 0) | constant | drop (to a tenth)
_C.SOLVER.DROP_AT = 0  # [steps] after which SCHEDULE drop drops
_C.SOLVER.WARMUP = 0  # [steps]
_C.SOLVER.GRAD_CLIP = 0.0  # norm; 0 = off

_C.RUN = CfgNode()
_C.RUN.ACCELERATOR = "auto"  # auto | cpu | gpu | cuda | mps; gpu = cuda or mps, whichever there is
_C.RUN.DEVICES = 1
_C.RUN.PRECISION = "32-true"  # 32-true | bf16-mixed | 16-mixed
_C.RUN.COMPILE = False  # torch.compile of the photometric loss and the colour jitter; needs a C++ compiler
_C.RUN.NUM_WORKERS = 4  # loader processes per device
_C.RUN.LOG_EVERY = 50  # [steps]
_C.RUN.IMAGES_EVERY = 500  # [steps] between image grids; 0 writes none
_C.RUN.MAX_STEPS = -1  # [steps] to stop after; -1 = by SOLVER.EPOCHS or FINETUNE.STEPS
_C.RUN.CHECKPOINT_EVERY = 500  # [steps]
# What is measured during a training: row/metric + mode of the evaluation's tables, such as night/abs_rel_median. The
# network of the best value is kept in RUN/best; depth_net stays the last one, which is what is reported. "" = nothing
_C.RUN.MONITOR = ""
# Held-out training scenes to measure on: a split of the source or a file; none of DATA.SPLIT_TRAIN's or SPLIT_VAL's
_C.RUN.MONITOR_SPLIT = ""
_C.RUN.MONITOR_EVERY = 1  # [epochs]

_C.EVAL = CfgNode()
# How predictions are read at the LiDAR pixels. md4all: as the published tables of nuScenes and RobotCar; ude:
# half-pixel consistent; kitti_*: monodepth2's with that crop, whose tables have EVAL.MIN_DEPTH 0.001; drivingstereo:
# a row for each weather; booster, cleargrasp: transparent and mirroring surfaces by themselves, with EVAL.MIN_DEPTH
# 0.001, EVAL.MAX_DEPTH 10 and least_squares. The last three are for the source of that name.
_C.EVAL.PROTOCOL = "md4all"  # md4all | ude | kitti_eigen | kitti_garg | drivingstereo | booster | cleargrasp
# Of the modes beside the metric one, per image. least_squares: scale and shift of inverse depth, for networks that
# predict it relatively; none: only the metric one
_C.EVAL.ALIGNMENT = "median"  # none | median | least_squares
_C.EVAL.MIN_DEPTH = 0.1  # returns nearer than this do not count [m]
_C.EVAL.MAX_DEPTH = 80.0  # nor farther ones [m]
_C.EVAL.FLIP = True  # also run on the mirrored image
_C.EVAL.BATCH_SIZE = 8


def defaults() -> CfgNode:
    """A fresh copy of the configuration with every key at its default."""
    return _C.clone()
